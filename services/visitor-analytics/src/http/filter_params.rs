//! Separates the named parameters of a request from its filters.

use std::collections::BTreeMap;

use chassis::Problem;
use rollups::filters;
use rollups::query::AttributeFilter;

use super::query_params::invalid_param;
use super::site_scope::ScopedPairs;
use crate::domain::segment;
use crate::store::Store;

/// Parameters that are never filters.
const SHARED_PARAMETERS: [&str; 6] = ["site", "from", "to", "time_zone", "include_bots", "segment"];

pub(super) type SplitParams = (BTreeMap<String, String>, Vec<AttributeFilter>);

/// Separates the named parameters from the filters, adds the filters of the segment, and refuses
/// unknown parameters.
pub(super) async fn split_params(
    store: &Store,
    pairs: ScopedPairs,
    own: &[&str],
) -> Result<SplitParams, Problem> {
    let (mut rest, mut filters) = split_pairs(pairs, own)?;
    if let Some(name) = rest.remove("segment") {
        filters.extend(segment_filters(store, &name).await?);
    }
    Ok((rest, filters))
}

fn split_pairs(pairs: ScopedPairs, own: &[&str]) -> Result<SplitParams, Problem> {
    let mut rest = BTreeMap::new();
    let mut filters: Vec<AttributeFilter> = vec![];
    for (name, value) in pairs {
        if SHARED_PARAMETERS.contains(&&*name) || own.contains(&&*name) {
            if rest.insert(name.clone(), value).is_some() {
                return Err(invalid_param(&name, "the parameter occurs more than once"));
            }
            continue;
        }
        let added = filters::add_filter(&mut filters, &name, &value);
        added.map_err(|error| invalid_param(&name, error.to_string()))?;
    }
    Ok((rest, filters))
}

/// Reads the filters of the segment with this name or id.
async fn segment_filters(store: &Store, name: &str) -> Result<Vec<AttributeFilter>, Problem> {
    let found = store.segments.find(name).await?;
    let found = found.ok_or_else(|| invalid_param("segment", "there is no such segment"))?;
    // A stored segment may name a dimension that no longer exists.
    segment::parse_filters(&found.filters)
        .map_err(|error| invalid_param("segment", error.to_string()))
}

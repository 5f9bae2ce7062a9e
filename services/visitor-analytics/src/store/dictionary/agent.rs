//! User agents with browser, system and device, as parsed at the first visit, and their client
//! hints.

use chassis::database::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::table::{DimensionId, DimensionTable, bytes, column, key};
use crate::domain::enriched_visit::EnrichedVisit;

pub(super) struct AgentTable;

impl DimensionTable for AgentTable {
    type Value = EnrichedVisit;

    fn key(visit: &EnrichedVisit) -> Option<Uuid> {
        let user_agent = Some(visit.visit.user_agent.as_bytes());
        let agent = &visit.user_agent_info.agent;
        // The user agent alone identifies most values. Client hints can change what is derived from
        // it, so that the results become part of the key.
        Some(if agent.is_hinted {
            key([
                user_agent,
                bytes(agent.browser.as_ref()),
                bytes(agent.browser_version.as_ref()),
                bytes(agent.os.as_ref()),
                bytes(agent.os_version.as_ref()),
                Some(agent.device_type.as_str().as_bytes()),
                bytes(agent.brand.as_ref()),
                bytes(agent.model.as_ref()),
            ])
        } else {
            key([user_agent])
        })
    }

    async fn insert_missing(
        connection: &mut PgConnection,
        keys: &[Uuid],
        visits: &[&EnrichedVisit],
    ) -> Result<Vec<DimensionId>, StoreError> {
        let user_agents: Vec<&str> = column(visits, |v| v.visit.user_agent.as_str());
        let browsers = column(visits, |v| v.user_agent_info.agent.browser.as_deref());
        let browser_versions = column(visits, |v| {
            v.user_agent_info.agent.browser_version.as_deref()
        });
        let systems = column(visits, |v| v.user_agent_info.agent.os.as_deref());
        let system_versions = column(visits, |v| v.user_agent_info.agent.os_version.as_deref());
        let devices: Vec<&str> = column(visits, |v| v.user_agent_info.agent.device_type.as_str());
        let brands = column(visits, |v| v.user_agent_info.agent.brand.as_deref());
        let models = column(visits, |v| v.user_agent_info.agent.model.as_deref());
        let ids = sqlx::query_as!(
            DimensionId,
            r#"with added as (
                   insert into visitor_analytics.agent (key, user_agent, browser, browser_version,
                       os, os_version, device_type, brand, model)
                   select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                       $6::text[], $7::text[], $8::text[], $9::text[])
                   on conflict on constraint agent_key_key do nothing
                   returning key, id)
               select key as "key!", id as "id!" from added
               union all
               select key, id from visitor_analytics.agent where key = any($1)"#,
            keys,
            &user_agents as _,
            &browsers as _,
            &browser_versions as _,
            &systems as _,
            &system_versions as _,
            &devices as _,
            &brands as _,
            &models as _,
        );
        Ok(ids.fetch_all(connection).await?)
    }
}

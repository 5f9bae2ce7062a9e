//! User agents, each as it was read when it was first met.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Dimension, Number, column, key};
use crate::domain::classified::Classified;
use crate::store::StoreError;

pub(super) struct Agent;

impl Dimension for Agent {
    type Value = Classified;

    fn key(visit: &Classified) -> Option<Uuid> {
        Some(key([Some(visit.visit.user_agent.as_bytes())]))
    }

    async fn add(
        connection: &mut PgConnection,
        keys: &[Uuid],
        visits: &[&Classified],
    ) -> Result<Vec<Number>, StoreError> {
        let user_agents: Vec<&str> = column(visits, |v| v.visit.user_agent.as_str());
        let browsers = column(visits, |v| v.findings.agent.browser.as_deref());
        let browser_versions = column(visits, |v| v.findings.agent.browser_version.as_deref());
        let systems = column(visits, |v| v.findings.agent.os.as_deref());
        let system_versions = column(visits, |v| v.findings.agent.os_version.as_deref());
        let devices: Vec<&str> = column(visits, |v| v.findings.agent.device_type.as_str());
        let numbers = sqlx::query_as!(
            Number,
            r#"with added as (
                   insert into visitor_analytics.agent (key, user_agent, browser, browser_version,
                       os, os_version, device_type)
                   select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                       $6::text[], $7::text[])
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
        );
        Ok(numbers.fetch_all(connection).await?)
    }
}

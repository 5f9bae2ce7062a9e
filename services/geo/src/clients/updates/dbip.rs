//! DB-IP's free downloads (<https://db-ip.com/db/download/ip-to-city-lite>): one file a month,
//! which appears some time in its first days.

use chrono::{DateTime, Months, Utc};
use reqwest::Client;
use url::Url;

use super::fetch;
use super::folder::{Arrival, Locked};
use super::unpack::Pack;
use super::{Brought, Outcome, UpdateError};

pub(super) const EDITION: &str = "dbip-city-lite";

pub(super) async fn bring(
    http: &Client,
    host: &Url,
    folder: &mut Locked,
    now: DateTime<Utc>,
) -> Outcome {
    let have = folder.intact_release(EDITION).await?;
    let months = [Some(now), now.checked_sub_months(Months::new(1))];
    for month in months.into_iter().flatten() {
        let release = month.format("%Y-%m").to_string();
        if have.as_ref() == Some(&release) {
            return Ok(Brought::Nothing);
        }
        let mut url = host.clone();
        url.set_path(&format!("/free/{EDITION}-{release}.mmdb.gz"));
        let mut archive = folder.temporary()?;
        match fetch::save(http, url, None, &mut archive).await {
            Err(UpdateError::Refused(404)) => continue,
            saved => saved?,
        }
        let arrival = Arrival {
            archive,
            pack: Pack::Gz,
            md5: None,
            release,
        };
        folder.install(EDITION, arrival).await?;
        return Ok(Brought::New);
    }
    Err(UpdateError::Refused(404))
}

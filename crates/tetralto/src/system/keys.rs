//! The keys of the all-in-one system.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::settings::KeyArgs;
use secrecy::SecretString;

use super::folder;
use crate::cli::SystemArgs;

/// The file in the data folder that keeps the system's own secret.
const SECRET_FILE: &str = "jwt-secret";

/// The keys that were given, or the system's own secret, made when it is first needed.
pub fn own_or_given(args: &SystemArgs) -> anyhow::Result<KeyArgs> {
    let mut keys = args.keys.clone();
    if keys.jwt_secrets.is_empty() && keys.jwt_private_key.is_none() {
        folder::make(&args.data_dir)?;
        keys.jwt_secrets.push(own(&args.data_dir)?);
    }
    Ok(keys)
}

fn own(folder: &Path) -> anyhow::Result<SecretString> {
    let file = folder.join(SECRET_FILE);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = random()?;
            folder::write_secret(&file, &secret)?;
            Ok(secret.into())
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// 256 random bits, as text.
fn random() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

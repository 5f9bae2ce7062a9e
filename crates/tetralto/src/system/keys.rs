//! Signing keys of the all-in-one system.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::settings::KeyArgs;
use secrecy::SecretString;

use super::data_folder;
use crate::cli::SystemArgs;

/// File in the data folder that holds the generated secret.
const SECRET_FILE: &str = "jwt-secret";

/// Returns the configured keys, or else the secret of the data folder, which is generated at first
/// use.
pub fn load_or_generate(args: &SystemArgs) -> anyhow::Result<KeyArgs> {
    let mut keys = args.keys.clone();
    if keys.jwt_secrets.is_empty() && keys.jwt_private_key.is_none() {
        data_folder::create(&args.data_dir)?;
        keys.jwt_secrets
            .push(load_or_generate_secret(&args.data_dir)?);
    }
    Ok(keys)
}

fn load_or_generate_secret(folder: &Path) -> anyhow::Result<SecretString> {
    let file = folder.join(SECRET_FILE);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = generate_secret()?;
            data_folder::write_secret(&file, &secret)?;
            Ok(secret.into())
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Returns 256 random bits as base64url.
fn generate_secret() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system's random number generator failed"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

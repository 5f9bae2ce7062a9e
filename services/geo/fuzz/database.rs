//! Feeds arbitrary bytes to the loader of databases, and then looks up addresses: the bytes are
//! refused or usable. Nothing crashes, hangs or exhausts the memory.
#![no_main]

use std::path::Path;

use common::clock::Clock;
use geo::app::Locator;
use geo::clients::LocalDatabases;
use geo::domain::Language;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

/// Addresses in the test databases, the bounds of both families, and IPv4 embedded in IPv6.
const ADDRESSES: [&str; 14] = [
    "1.0.0.0",
    "2.125.160.216",
    "81.2.69.142",
    "89.160.20.128",
    "216.160.83.56",
    "223.255.255.255",
    "2001:218::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2002:5102:458e::1",
    "2a02:d0c0::1",
    "2c0f:ffff::1",
    "::1.2.3.4",
    "::ffff:81.2.69.142",
    "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime");
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a temporary directory");
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        let file = folder.path().join("x.mmdb");
        std::fs::write(&file, bytes).expect("a writable temporary directory");
        load_and_ask(&file);
    });
});

fn load_and_ask(file: &Path) {
    let Ok((databases, _)) = LocalDatabases::open(&[file.to_owned()], Path::new("nowhere")) else {
        return;
    };
    let locator = Locator::new(databases, None, None, Clock::system());
    let addresses = ADDRESSES.map(String::from);
    for language in [Language::English, Language::Japanese] {
        let found =
            RUNTIME.with(|runtime| runtime.block_on(locator.locate_many(&addresses, language)));
        for location in found.into_iter().flatten() {
            let point = location.latitude.zip(location.longitude);
            assert!(point.is_none_or(|(y, x)| y.abs() <= 90.0 && x.abs() <= 180.0));
        }
    }
}

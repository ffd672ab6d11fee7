//! What every event of an actor says: constants, ready as JSON.

use super::json::write_value;
use super::{GeoIp, LargeIntegers};
use crate::event::device;
use crate::event::json::string;
use crate::event::record::{self, Key, Record, Slot};
use serde_json::Value;

/// A property whose JSON is ready: `"key":value`.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) key: Box<str>,
    pub(super) json: Vec<u8>,
}

impl Constant {
    pub(super) fn new(key: &str, value: &Value, large: LargeIntegers) -> Self {
        let mut json = Vec::new();
        string(&mut json, key);
        json.push(b':');
        let mut record = Record::over(Vec::new(), usize::MAX);
        record.value(Key::Named(Slot::Property, ""), value);
        for field in record::fields(record.bytes()) {
            write_value(&mut json, field.value, large);
        }
        Self {
            key: key.into(),
            json,
        }
    }
}

/// What this SDK says about itself and its host.
pub(super) fn host_context(geoip: GeoIp) -> Vec<(&'static str, Value)> {
    let mut context = vec![
        ("$lib", env!("CARGO_PKG_NAME").into()),
        ("$lib_version", env!("CARGO_PKG_VERSION").into()),
        ("$is_server", true.into()),
        ("$os", device::os().into()),
    ];
    if let Some(version) = device::os_version() {
        context.push(("$os_version", version.into()));
    }
    if geoip == GeoIp::Off {
        context.push(("$geoip_disable", true.into()));
    }
    context
}

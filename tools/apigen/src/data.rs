//! Reads `api/operations.json`: what was seen of PostHog's API, apart from the table.

use serde_json::{Map, Value};

/// What was seen of one operation.
pub struct Seen(pub Map<String, Value>);

/// Every operation that was seen.
pub fn read(text: &str) -> Result<Vec<Seen>, String> {
    let rows: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(rows.into_iter().map(Seen).collect())
}

impl Seen {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn method(&self) -> &str {
        self.text("method")
    }

    pub fn path(&self) -> &str {
        self.text("path")
    }

    /// A description, where PostHog's document had one when it was imported.
    pub fn description(&self) -> &str {
        self.text("description")
    }

    /// The query parameters; none where they were never read.
    pub fn params(&self) -> &[Value] {
        let params = self.0.get("query_params").and_then(Value::as_array);
        params.map_or(&[], Vec::as_slice)
    }

    pub fn param(&self, name: &str) -> Option<&Value> {
        self.params().iter().find(|p| p["name"] == name)
    }

    pub fn is_deprecated(&self) -> bool {
        self.0.get("deprecated").is_some_and(|d| *d == true)
    }

    /// The scopes that a key needs; none where they are not known.
    pub fn scopes(&self) -> Vec<&str> {
        let scopes = self.0.get("scopes").and_then(Value::as_array);
        scopes
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Whether PostHog offers it with a feature flag, a plan or consent to AI only.
    pub fn is_preview(&self) -> bool {
        let given = |name| {
            self.0
                .get(name)
                .is_some_and(|v| !v.is_null() && *v != false)
        };
        given("behind_flag") || given("entitlements") || given("ai_consent")
    }

    /// The media type of the body, if it has one.
    pub fn media_type(&self) -> Option<&str> {
        self.0.get("media_type").and_then(Value::as_str)
    }

    /// Whether only documents of 2025 name it.
    pub fn only_2025(&self) -> bool {
        let seen = self.0.get("seen_in").and_then(Value::as_array);
        let year = |v: &Value| v.as_str().is_some_and(|v| v.starts_with("2025"));
        seen.is_some_and(|seen| !seen.is_empty() && seen.iter().all(year))
    }
}

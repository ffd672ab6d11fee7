//! Stands in for `crate::client::page::Page`.

/// One page of a list.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Page<T> {
    /// What is on it.
    #[serde(default = "Vec::new")]
    pub results: Vec<T>,
}

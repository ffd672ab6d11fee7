//! JSON that remembers which of its keys came twice.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON object, and how many of its keys came twice, at any depth.
#[derive(Default)]
pub(super) struct Object {
    pub(super) map: Map<String, Value>,
    pub(super) duplicates: usize,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tree { value, duplicates } = Tree::deserialize(deserializer)?;
        match value {
            Value::Object(map) => Ok(Self { map, duplicates }),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// Any JSON, and how many keys came twice in it. `Value` alone would keep the
/// last of them and say nothing.
pub(super) struct Tree {
    pub(super) value: Value,
    pub(super) duplicates: usize,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

/// The key by which serde_json passes numbers on where some crate of the build
/// turned on its feature `arbitrary_precision`.
const NUMBER_KEY: &str = "$serde_json::private::Number";

struct TreeVisitor;

fn leaf<E>(value: impl Into<Value>) -> Result<Tree, E> {
    Ok(Tree {
        value: value.into(),
        duplicates: 0,
    })
}

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        leaf(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        leaf(value)
    }
    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        leaf(value)
    }
    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        leaf(value)
    }
    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        leaf(value)
    }
    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        leaf(value)
    }
    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        leaf(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut values = Vec::new();
        let mut duplicates = 0;
        while let Some(tree) = items.next_element::<Tree>()? {
            duplicates += tree.duplicates;
            values.push(tree.value);
        }
        Ok(Tree {
            value: Value::Array(values),
            duplicates,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut map = Map::new();
        let mut duplicates = 0;
        while let Some(key) = items.next_key::<String>()? {
            let tree = items.next_value::<Tree>()?;
            if key == NUMBER_KEY
                && let Some(Ok(number)) = tree.value.as_str().map(str::parse)
            {
                return leaf(Value::Number(number));
            }
            duplicates += tree.duplicates;
            if map.insert(key, tree.value).is_some() {
                duplicates += 1;
            }
        }
        Ok(Tree {
            value: Value::Object(map),
            duplicates,
        })
    }
}

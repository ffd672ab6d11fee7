//! [`Row`]: one row of a query, as serde reads it: by name or by position.
//!
//! Invariant: each value of the row reaches the type that reads it, except for columns that a struct does not name. A row
//! whose values would be merged, cut off or left over is an error.

use super::cell::{Cell, SYSTEM_TIME, in_column};
use crate::redact;
use serde::de::value::{StrDeserializer, UnitDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Error, Value};
use std::collections::HashSet;

/// A row: its cells, and the names of the columns.
pub(super) struct Row<'a> {
    columns: Columns<'a>,
    cells: Vec<Value>,
}

enum Columns<'a> {
    Shared(&'a [String]),
    Own(Vec<String>),
}

impl Columns<'_> {
    fn names(&self) -> &[String] {
        match self {
            Self::Shared(names) => names,
            Self::Own(names) => names,
        }
    }
}

impl<'a> Row<'a> {
    pub(super) fn new(columns: &'a [String], row: Value) -> Self {
        match row {
            Value::Array(cells) => Self {
                columns: Columns::Shared(columns),
                cells,
            },
            // Some kinds of queries name the values in each row.
            Value::Object(mut row) => {
                if columns.len() == row.len() && row.keys().all(|name| columns.contains(name)) {
                    let cells = columns.iter().filter_map(|name| row.remove(name));
                    return Self {
                        cells: cells.collect(),
                        columns: Columns::Shared(columns),
                    };
                }
                let (names, cells) = row.into_iter().unzip();
                Self {
                    columns: Columns::Own(names),
                    cells,
                }
            }
            cell => Self {
                columns: Columns::Shared(columns),
                cells: vec![cell],
            },
        }
    }

    fn single(mut self) -> Result<Cell, Error> {
        match (self.cells.pop(), self.cells.len()) {
            (Some(cell), 0) => Ok(Cell {
                name: self.columns.names().first().cloned(),
                value: cell,
            }),
            (cell, others) => Err(Error::custom(format_args!(
                "it has {} values, where one is expected; read it into a tuple or a struct",
                others + usize::from(cell.is_some())
            ))),
        }
    }

    fn by_position(self) -> Walk<'a> {
        Walk {
            columns: self.columns,
            cells: self.cells.into_iter(),
            at: 0,
            value: None,
        }
    }

    fn by_name(self) -> Result<Walk<'a>, Error> {
        let (names, cells) = (self.columns.names().len(), self.cells.len());
        if names != cells {
            return Err(Error::custom(format_args!(
                "it has {cells} values and {names} names of columns"
            )));
        }
        Ok(self.by_position())
    }

    /// For what keeps one value a name: of two columns with one name, it would lose the first.
    fn by_unique_name(self) -> Result<Walk<'a>, Error> {
        let walk = self.by_name()?;
        let mut seen = HashSet::new();
        match walk.columns.names().iter().find(|name| !seen.insert(*name)) {
            Some(name) => Err(Error::custom(format_args!(
                "it has two columns with the name {:?}; rename one with `AS`, or read a tuple",
                redact::vouched_column(name)
            ))),
            None => Ok(walk),
        }
    }

    /// Reads the cells by position, every one of them.
    fn visit_all<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self.columns, Columns::Own(_)) && self.cells.len() > 1 {
            return Err(Error::custom(
                "it has values with names and no order; read it into a struct or a map",
            ));
        }
        let mut walk = self.by_position();
        let all = walk.cells.len();
        let read = visitor.visit_seq(&mut walk)?;
        match walk.cells.len() {
            0 => Ok(read),
            left => Err(Error::custom(format_args!(
                "it has {all} values, where {} are expected",
                all - left
            ))),
        }
    }
}

/// Hands out the cells one after the other.
struct Walk<'a> {
    columns: Columns<'a>,
    cells: std::vec::IntoIter<Value>,
    at: usize,
    value: Option<Value>,
}

impl Walk<'_> {
    fn cell(&mut self, value: Value) -> Cell {
        let name = self.columns.names().get(self.at);
        let name = name.cloned().unwrap_or_else(|| (self.at + 1).to_string());
        self.at += 1;
        Cell {
            name: Some(name),
            value,
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Walk<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some(value) = self.cells.next() else {
            return Ok(None);
        };
        self.cell(value).read(seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.cells.len())
    }
}

impl<'de> MapAccess<'de> for Walk<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.value = self.cells.next();
        match (&self.value, self.columns.names().get(self.at)) {
            (Some(_), Some(name)) => {
                let name: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
                seed.deserialize(name).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let value = self.value.take().unwrap_or_default();
        self.cell(value).read(seed)
    }
}

macro_rules! single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let cell = self.single()?;
            let name = cell.name.clone();
            cell.$method(visitor).map_err(|e| in_column(name.as_deref(), e))
        }
    )*};
}

impl<'de> Deserializer<'de> for Row<'_> {
    type Error = Error;

    single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.columns.names().len() == self.cells.len() {
            true => visitor.visit_map(self.by_unique_name()?),
            false => self.visit_all(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match *self.cells {
            [Value::Null] => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_all(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        if len != self.cells.len() {
            return Err(Error::custom(format_args!(
                "it has {} values, where {len} are expected",
                self.cells.len()
            )));
        }
        self.visit_all(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self.by_unique_name()?)
    }

    /// Derived structs refuse two values for one of their fields by themselves.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == SYSTEM_TIME {
            let cell = self.single()?;
            let column = cell.name.clone();
            return cell
                .deserialize_struct(name, fields, visitor)
                .map_err(|e| in_column(column.as_deref(), e));
        }
        visitor.visit_map(self.by_name()?)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let cell = self.single()?;
        let column = cell.name.clone();
        cell.value
            .deserialize_enum(name, variants, visitor)
            .map_err(|e| in_column(column.as_deref(), e))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        UnitDeserializer::<Error>::new().deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests;

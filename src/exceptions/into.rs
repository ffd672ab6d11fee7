//! [`IntoException`]: what can become an [`Exception`].

use super::exception::{Exception, Link};
use super::type_name::Head;
use crate::panic::catch;
use std::error::Error;
use std::ops::Deref;

/// What can become an [`Exception`]: a reference to an error, to a boxed error, or to a report.
///
/// `M` tells the kinds apart, and is always inferred.
pub trait IntoException<M> {
    /// What is known of the error.
    fn into_exception(self) -> Exception;
}

/// Marks errors whose type is known.
#[derive(Debug)]
pub struct Typed;

/// Marks errors whose type is lost.
#[derive(Debug)]
pub struct Erased;

/// Marks reports: `anyhow::Error`, `eyre::Report`, `Box<dyn Error + Send + Sync>`, all that dereference to such an error.
#[derive(Debug)]
pub struct Report;

impl IntoException<Self> for Exception {
    fn into_exception(self) -> Self {
        self
    }
}

impl<E: Error + 'static> IntoException<Typed> for &E {
    fn into_exception(self) -> Exception {
        of_chain(self).with_type_name(std::any::type_name::<E>())
    }
}

impl IntoException<Erased> for &(dyn Error + 'static) {
    fn into_exception(self) -> Exception {
        of_chain(self)
    }
}

impl IntoException<Erased> for &(dyn Error + Send + Sync + 'static) {
    fn into_exception(self) -> Exception {
        of_chain(self)
    }
}

impl<R> IntoException<Report> for &R
where
    R: Deref<Target = dyn Error + Send + Sync + 'static> + 'static,
{
    fn into_exception(self) -> Exception {
        of_chain(&**self)
    }
}

fn of_chain(error: &(dyn Error + 'static)) -> Exception {
    let mut exception = Exception::default();
    let mut next = Some(error);
    while let Some(error) = next
        && exception.links.len() < super::chain::MAX_LINKS
    {
        let head = Head::of(error);
        exception.links.push(Link {
            type_name: head.name().unwrap_or_default().into(),
            value: catch(|| error.to_string()).unwrap_or_default().into(),
        });
        next = catch(|| error.source()).flatten();
    }
    exception
}

//! Samples of bodies, which the tests compare with the schemas.

/// Stands for any text.
pub(crate) const TEXT: &str = "text";

/// Stands for any JSON: accepted wherever a schema asks for more than a text, number or boolean.
pub(crate) const ANY: &str = "any JSON";

/// A type that makes samples of itself.
pub(crate) trait Sample: Sized {
    /// At least one.
    fn samples() -> Vec<Self>;

    /// Those that stand in other types' samples: fewer, where the type is checked by itself.
    fn parts() -> Vec<Self> {
        Self::samples()
    }
}

pub(crate) fn count<T: Sample>() -> usize {
    T::parts().len()
}

/// The sample of that number, or the last one.
pub(crate) fn at<T: Sample>(number: usize) -> T {
    let mut samples = T::parts();
    let number = number.min(samples.len() - 1);
    samples.swap_remove(number)
}

//! Samples of bodies, which the tests compare with the schemas: each type makes its own, by the macros below.

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

/// What the constructor makes, everything set, everything cleared, and each value of each part.
macro_rules! body_samples {
    ($(
        $(#[$doc:meta])*
        pub struct $name:ident {
            $(
                -> $(#[$new_doc:meta])*
                new(
                    $( $required:ident $(as $required_wire:literal)? : $required_kind:ident $(($required_of:ty))? ),*
                    $(; $( $preset:literal = $preset_value:expr ),+ )?
                )
            )?
            $( $(#[$field_doc:meta])* $field:ident $(as $wire:literal)? $(/ $clear:ident)? : $kind:ident $(($of:ty))?, )*
        }
    )*) => {$(
        $(
            impl $name {
                fn minimal_samples() -> Vec<Self> {
                    let counts = [1_usize, $( sample_count!($required_kind $(($required_of))?) ),*];
                    (0..counts.into_iter().max().unwrap_or(1))
                        .map(|_at| Self::new($( sample!(_at, $required_kind $(($required_of))?) ),*))
                        .collect()
                }
            }
        )?

        impl $name {
            fn full_sample() -> Self {
                Self::minimal_samples().swap_remove(0) $( .$field(sample!(0, $kind $(($of))?)) )*
            }
        }

        impl $crate::rest::body::sample::Sample for $name {
            fn parts() -> Vec<Self> {
                vec![Self::full_sample()]
            }

            fn samples() -> Vec<Self> {
                let mut all = Self::minimal_samples();
                let _minimal = all[0].clone();
                all.push(Self::full_sample());
                all.push(_minimal.clone() $($( .$clear() )?)*);
                $( more_samples!(all, _minimal, $field, $kind $(($of))?); )*
                all
            }
        }
    )*};
}

/// A value of a field in tests. Types with several samples have one for each number.
macro_rules! sample {
    ($at:expr, text) => {
        $crate::rest::body::sample::TEXT
    };
    ($at:expr, integer) => {
        3_u8
    };
    ($at:expr, number) => {
        3_u8
    };
    ($at:expr, percentage) => {
        3_u8
    };
    ($at:expr, boolean) => {
        true
    };
    ($at:expr, time) => {
        std::time::SystemTime::UNIX_EPOCH
    };
    ($at:expr, json) => {
        $crate::rest::body::sample::ANY
    };
    ($at:expr, part($of:ty)) => {
        $crate::rest::body::sample::at::<$of>($at)
    };
    ($at:expr, texts) => {
        [$crate::rest::body::sample::TEXT]
    };
    ($at:expr, integers) => {
        [3_u8]
    };
    ($at:expr, numbers) => {
        [3_u8]
    };
    ($at:expr, times) => {
        [std::time::SystemTime::UNIX_EPOCH]
    };
    ($at:expr, jsons) => {
        [$crate::rest::body::sample::ANY]
    };
    ($at:expr, parts($of:ty)) => {
        [$crate::rest::body::sample::at::<$of>($at)]
    };
    ($at:expr, parts_by_name($of:ty)) => {
        [("name", $crate::rest::body::sample::at::<$of>($at))]
    };
}

/// One sample for each further value of a part.
macro_rules! more_samples {
    ($all:ident, $minimal:ident, $field:ident, $kind:ident($of:ty)) => {
        for at in 1..sample_count!($kind($of)) {
            $all.push($minimal.clone().$field(sample!(at, $kind($of))));
        }
    };
    ($all:ident, $minimal:ident, $field:ident, $kind:ident) => {};
}

/// How many samples a kind has.
macro_rules! sample_count {
    (part($of:ty)) => {
        $crate::rest::body::sample::count::<$of>()
    };
    (parts($of:ty)) => {
        $crate::rest::body::sample::count::<$of>()
    };
    (parts_by_name($of:ty)) => {
        $crate::rest::body::sample::count::<$of>()
    };
    ($kind:ident) => {
        1
    };
}

pub(crate) use {body_samples, more_samples, sample, sample_count};

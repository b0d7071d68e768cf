//! What goes into a statement and what comes out of a row, whichever database it is.

use std::borrow::Cow;
use std::sync::Arc;

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value<'_> {
            fn from(number: $integer) -> Self {
                Self::Int(number.into())
            }
        }
    )*};
}
from_integers!(bool, u8, i32, u32, i64);

macro_rules! from_texts {
    ($($text:ty),*) => {$(
        impl<'a> From<&'a $text> for Value<'a> {
            fn from(text: &'a $text) -> Self {
                Self::Text(Cow::Borrowed(text))
            }
        }
    )*};
}
from_texts!(str, String, Arc<str>);

impl<'a> From<&&'a str> for Value<'a> {
    fn from(text: &&'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a [u8; 16]> for Value<'a> {
    fn from(bytes: &'a [u8; 16]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

macro_rules! from_options {
    ($($number:ty),*) => {$(
        impl From<Option<$number>> for Value<'_> {
            fn from(number: Option<$number>) -> Self {
                number.map_or(Self::Null, Self::from)
            }
        }
    )*};
}
from_options!(u32, i64);

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_ref().map_or(Self::Null, Self::from)
    }
}

impl<'a, T> From<Option<&'a T>> for Value<'a>
where
    Self: From<&'a T>,
{
    fn from(text: Option<&'a T>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

/// A field of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Of a type that no column of ours has.
    Other,
}

/// What a field can be read as. `None`: it holds something else.
pub(crate) trait Column: Sized {
    fn read(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! read_integers {
    ($($integer:ty),*) => {$(
        impl Column for $integer {
            fn read(cell: Cell<'_>) -> Option<Self> {
                if let Cell::Int(number) = cell { Self::try_from(number).ok() } else { None }
            }
        }
    )*};
}
read_integers!(u8, i32, u32, i64, u64);

impl Column for bool {
    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Int(number) = cell { Some(number != 0) } else { None }
    }
}

impl Column for String {
    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text.to_owned()) } else { None }
    }
}

impl Column for Arc<str> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text.into()) } else { None }
    }
}

impl Column for [u8; 16] {
    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Bytes(bytes) = cell { bytes.try_into().ok() } else { None }
    }
}

impl Column for Vec<u8> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Bytes(bytes) = cell { Some(bytes.to_vec()) } else { None }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Null = cell { Some(None) } else { T::read(cell).map(Some) }
    }
}

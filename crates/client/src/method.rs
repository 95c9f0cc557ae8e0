//! The methods of the API as values: path, message types, and whether a call may be repeated.

use std::marker::PhantomData;

/// What a failed attempt may have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing that a second attempt would not do again without harm.
    Always,
    /// Something that must not be done twice: try again only if there was no connection.
    IfUnsent,
}

/// One method of the API with the types of its messages.
pub(crate) struct Method<Q, R> {
    pub(crate) path: &'static str,
    pub(crate) repeat: Repeat,
    messages: PhantomData<fn(Q) -> R>,
}

impl<Q, R> Method<Q, R> {
    /// A method that may be called again after an unclear failure.
    pub(crate) const fn repeatable(path: &'static str) -> Method<Q, R> {
        Method {
            path,
            repeat: Repeat::Always,
            messages: PhantomData,
        }
    }

    /// A method that may not.
    pub(crate) const fn once(path: &'static str) -> Method<Q, R> {
        Method {
            path,
            repeat: Repeat::IfUnsent,
            messages: PhantomData,
        }
    }
}

impl<Q, R> Clone for Method<Q, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q, R> Copy for Method<Q, R> {}

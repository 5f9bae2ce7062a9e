//! Catches panics, so that one item that panics costs neither the worker nor the other items.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt as _;

/// Code that panicked, with the panic's message. The panic hook has logged where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {0}")]
pub struct PanicError(pub String);

impl From<Box<dyn Any + Send>> for PanicError {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("no text").to_owned())
    }
}

/// Runs a future to its end; a panic in it becomes an error.
///
/// What the future changed before it panicked stays changed: give it only what it owns, or what is
/// consistent after each step, such as a pool.
pub fn catch_panics<F: Future>(future: F) -> impl Future<Output = Result<F::Output, PanicError>> {
    // Boxed: what a worker carries out may be large, and the worker's own future would hold it.
    let caught = Box::pin(AssertUnwindSafe(future).catch_unwind());
    async { caught.await.map_err(PanicError::from) }
}

/// The same for code that does not wait.
pub fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, PanicError> {
    catch_unwind(AssertUnwindSafe(code)).map_err(PanicError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_its_text() {
        let number = 7;
        let broken = catch_panics(async {
            tokio::task::yield_now().await;
            assert!(number == 8, "number {number}");
            number
        });
        assert_eq!(broken.await, Err(PanicError("number 7".into())));
        assert_eq!(catch_panics(async { 1 }).await, Ok(1));
        assert_eq!(catch_panic(|| 2), Ok(2));
        let broken = catch_panic(|| assert!(number == 8, "constant"));
        assert_eq!(broken, Err(PanicError("constant".into())));
    }
}

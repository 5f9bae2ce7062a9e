//! Catches panics, so that one failing item does not stop a worker or other items.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt as _;

/// A panic with its message. The panic hook has logged the location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {0}")]
pub struct PanicError(pub String);

impl From<Box<dyn Any + Send>> for PanicError {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("no message").to_owned())
    }
}

/// Runs a future and turns a panic into an error.
///
/// Changes that the future made before the panic remain. Pass only values that the future owns, or
/// that are consistent after each step, such as a pool.
pub fn catch_panics<F: Future>(future: F) -> impl Future<Output = Result<F::Output, PanicError>> {
    // Boxed, because the future may be large and would be stored in the future of the worker.
    let caught = Box::pin(AssertUnwindSafe(future).catch_unwind());
    async { caught.await.map_err(PanicError::from) }
}

/// Like [`catch_panics`], for synchronous code.
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

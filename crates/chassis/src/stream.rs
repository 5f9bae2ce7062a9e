//! Streaming responses.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;

/// A stream is dropped if its reader accepts no data for this time.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reader of the stream has stalled")]
pub struct ReaderStalled;

enum StreamItem<T> {
    Next(T),
    End,
}

/// Forwards `source` from a separate task and drops it, with the slots and buffers it holds, if the
/// reader accepts nothing for `timeout`. The stream of a response cannot do this itself, because it
/// is not polled then. Items that were produced before are still returned, then [`ReaderStalled`].
pub fn drop_when_stalled<S>(
    source: S,
    timeout: Duration,
) -> impl Stream<Item = Result<S::Item, ReaderStalled>> + Send + use<S>
where
    S: Stream<Item: Send> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(forward(source, sender, timeout));
    futures::stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(StreamItem::Next(piece)) => Some((Ok(piece), Some(receiver))),
            Some(StreamItem::End) => None,
            None => Some((Err(ReaderStalled), None)),
        }
    })
}

async fn forward<S: Stream>(
    source: S,
    sender: mpsc::Sender<StreamItem<S::Item>>,
    timeout: Duration,
) {
    let mut source = std::pin::pin!(source);
    loop {
        let piece = tokio::select! {
            piece = source.next() => piece.map_or(StreamItem::End, StreamItem::Next),
            // The reader was dropped.
            () = sender.closed() => return,
        };
        let is_end = matches!(piece, StreamItem::End);
        match tokio::time::timeout(timeout, sender.send(piece)).await {
            Ok(Ok(())) if !is_end => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_stalled_reader_is_given_up_and_told_so() {
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let source = futures::stream::repeat_with(move || Arc::strong_count(&held));
        let mut given = Box::pin(drop_when_stalled(source, SHORT));
        assert_eq!(given.next().await, Some(Ok(1)));
        while weak.upgrade().is_some() {
            tokio::time::sleep(SHORT).await;
        }
        assert_eq!(given.next().await, Some(Ok(1)));
        assert_eq!(given.next().await, Some(Err(ReaderStalled)));
        assert_eq!(given.next().await, None);
    }

    #[tokio::test]
    async fn a_whole_stream_ends_and_one_that_nobody_reads_goes() {
        let source = futures::stream::iter([1, 2, 3]);
        let given: Vec<_> = drop_when_stalled(source, SHORT).collect().await;
        assert_eq!(given, [Ok(1), Ok(2), Ok(3)]);
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let source = futures::stream::once(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(drop_when_stalled(source, SHORT));
        while weak.upgrade().is_some() {
            tokio::time::sleep(SHORT).await;
        }
    }
}

//! `GET /healthz`: whether the books can be read. Unsigned.

use crate::agora::reply;
use crate::http::answer::{Answer, Outcome};
use crate::http::books::Books;
use std::sync::Arc;

/// Answers a health check.
pub(super) fn answer(books: &Arc<Books>) -> Outcome {
    books.check(|| Answer::Done(reply::success()))
}

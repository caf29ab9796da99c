//! A bound on the results of a batch that wait for those of its other calls.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::response::BatchResults;

/// The budget of one batch, from its beginning to its answer.
pub(crate) trait BatchBudget: Send {
    /// Whether another of its calls may begin. If not, the task is woken when it may.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Counts the last one of `results`, which has just come. Those that will not be
    /// sent, it or earlier ones, become errors, or are taken out.
    fn count(&mut self, results: &mut BatchResults);

    /// Has the task woken when `results` that wait are to be given up, and gives them
    /// up then.
    fn watch(&mut self, cx: &mut Context<'_>, results: &mut BatchResults);
}

/// Opens the budget of a batch. Whoever will hold its answer puts this among the
/// batch's extensions; whoever takes the batch apart takes it out.
#[derive(Clone)]
pub(crate) struct Budgeted(Arc<dyn Fn() -> Box<dyn BatchBudget> + Send + Sync>);

impl Budgeted {
    pub(crate) fn new(open: impl Fn() -> Box<dyn BatchBudget> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    pub(crate) fn open(&self) -> Box<dyn BatchBudget> {
        (self.0)()
    }
}

impl fmt::Debug for Budgeted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Budgeted")
    }
}

//! The way of one record: process, try again, re-enqueue or reject. It runs as a task of its own
//! beside the stage's loop, and ends with outputs, whatever happens: only a stopped stage or a
//! partition that was given away leaves a record without outputs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use precis_base::clock::now_ms;
use precis_schemas::BodyReference;
use precis_schemas::codes::fault_of;
use precis_telemetry::metrics::Counter;
use precis_telemetry::trace::TRACEPARENT;
use tracing::{debug, error, warn};

use super::config::StageConfig;
use super::dead_letter::{self, Kept};
use super::live::Live;
use super::machine::{Ending, Outcome};
use super::processor::{Attempt, Cause, DeadLetterStore, Delivery, Processor, Rejection, Scope, StageError};
use super::retry::{Step, Tries, next_step};
use super::sender_faults::SenderFaults;
use crate::Fault;
use crate::error::FlowError;
use crate::member::Intake;
use crate::values::Output;

/// The code of a processor's panic.
pub(crate) const PANICKED: &str = "processor_panicked";
/// The code of outputs that no record can hold.
pub(crate) const OUTPUT_TOO_LARGE: &str = "output_too_large";

/// The code of outputs that the log refuses for another reason.
pub(crate) const OUTPUT_REFUSED: &str = "output_refused";

/// The code of a record that was alone when its process died.
pub const CRASH_SUSPECT: &str = "crash_suspect";

/// What every record's task shares.
pub(crate) struct Context {
    pub(crate) config: StageConfig,
    pub(crate) processor: Arc<dyn Processor>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) sender_faults: SenderFaults,
}

/// What came of a record.
#[derive(Debug)]
pub(crate) enum Finish {
    /// Its outputs.
    Published(Vec<Output>),
    /// A copy of it at the tail of its topic, or of the topic of returns.
    Requeued(Vec<Output>),
    /// A dead letter, and what its rejection leaves.
    Rejected(Vec<Output>, Cause),
    /// Nothing: nobody wants it any more.
    Abandoned,
}

impl From<Result<Finish, FlowError>> for Ending<Live> {
    fn from(finish: Result<Finish, FlowError>) -> Self {
        let (outputs, outcome) = match finish {
            Ok(Finish::Published(outputs)) => (outputs, Outcome::Published),
            Ok(Finish::Requeued(outputs)) => (outputs, Outcome::Requeued),
            Ok(Finish::Rejected(outputs, cause)) => (outputs, Outcome::Rejected(cause)),
            Ok(Finish::Abandoned) => return Self::Abandoned,
            Err(error) => return Self::Failed(error),
        };
        Self::Done { outputs: outputs.into(), outcome }
    }
}

/// Why trying again came to an end without success.
enum Ended {
    Abandoned,
    Requeue,
    Reject(Rejection),
    Stop(FlowError),
}

impl Ended {
    /// For what is only ever tried again.
    fn without_result(self) -> Result<Finish, FlowError> {
        match self {
            Self::Abandoned => Ok(Finish::Abandoned),
            Self::Stop(error) => Err(error),
            Self::Requeue | Self::Reject(_) => {
                Err(FlowError::Internal { detail: "what is tried without limit ended without a result".to_owned() })
            }
        }
    }
}

impl Context {
    /// Processes a record until there is something to commit for it.
    pub(crate) async fn drive(&self, delivery: &Arc<Delivery>) -> Result<Finish, FlowError> {
        let processed = self
            .retry_until_done(delivery, delivery.attempts, || {
                let (processor, delivery) = (Arc::clone(&self.processor), Arc::clone(delivery));
                async move { processor.process(&delivery).await }
            })
            .await;
        let rejection = match processed {
            Ok(outputs) => match self.too_large(&outputs) {
                None => return Ok(Finish::Published(with_trace(outputs, delivery))),
                Some(rejection) => rejection,
            },
            Err(Ended::Abandoned) => return Ok(Finish::Abandoned),
            Err(Ended::Requeue) => {
                return Ok(Finish::Requeued(vec![dead_letter::requeued(
                    delivery,
                    self.config.return_topic(&delivery.record.topic),
                )]));
            }
            Err(Ended::Reject(rejection)) => rejection,
            Err(Ended::Stop(error)) => return Err(error),
        };
        self.reject(delivery, rejection).await
    }

    /// Processes a record with which two processes died, while no other suspect runs. If this
    /// process dies too, the next one finds the marker.
    pub(crate) async fn drive_alone(&self, delivery: &Arc<Delivery>) -> Result<Finish, FlowError> {
        match self.is_first(delivery, Attempt::Process).await {
            Ok(true) => {
                let finish = self.drive(delivery).await;
                self.survived(delivery, Attempt::Process).await;
                return finish;
            }
            Ok(false) => {}
            Err(ended) => return ended.without_result(),
        }
        let message = "processes died with this record again and again, also when it ran alone";
        let rejection = Rejection::new(CRASH_SUSPECT, message);
        match self.is_first(delivery, Attempt::Reject).await {
            Ok(true) => {
                let finish = self.reject(delivery, rejection).await;
                self.survived(delivery, Attempt::Reject).await;
                finish
            }
            Ok(false) => {
                let message = format!("{message}; and once more when its rejection was settled");
                self.finish_rejected(delivery, Rejection { message, ..rejection }, Vec::new()).await
            }
            Err(ended) => ended.without_result(),
        }
    }

    /// Whether no earlier process began this attempt.
    async fn is_first(&self, delivery: &Arc<Delivery>, attempt: Attempt) -> Result<bool, Ended> {
        let Some(markers) = &self.config.attempt_markers else { return Ok(true) };
        self.retry_until_done(delivery, u32::MAX, || {
            let (markers, delivery) = (Arc::clone(markers), Arc::clone(delivery));
            // Without its marker it must not start.
            async move { markers.begin(&delivery.record, attempt).await.map_err(as_dependency) }
        })
        .await
    }

    /// Notes that the process lived on. Without the note, and without a commit, the record may
    /// later be taken for deadly; but waiting for the store would hold up the record's outputs.
    async fn survived(&self, delivery: &Arc<Delivery>, attempt: Attempt) {
        let Some(markers) = &self.config.attempt_markers else { return };
        if let Err(error) = markers.survived(&delivery.record, attempt).await {
            let position = delivery.record.position();
            warn!(stage = self.config.name, %position, code = error.code(), %error, "cannot note that a record kills nobody");
        }
    }

    /// Rejects a record because the log can never take its outputs.
    pub(crate) async fn reject_refused(
        &self,
        delivery: &Arc<Delivery>,
        refusal: &FlowError,
    ) -> Result<Finish, FlowError> {
        let too_large = matches!(refusal, FlowError::RecordTooLarge { .. });
        let code = if too_large { OUTPUT_TOO_LARGE } else { OUTPUT_REFUSED };
        self.reject(delivery, Rejection::new(code, refusal.to_string())).await
    }

    /// Turns a record into what its rejection leaves and its dead letter.
    async fn reject(&self, delivery: &Arc<Delivery>, mut rejection: Rejection) -> Result<Finish, FlowError> {
        let (stage, position) = (&self.config.name, delivery.record.position());
        if rejection.tenant.is_none() {
            rejection.tenant = self.sender(delivery);
        }
        let left = self
            .retry_until_done(delivery, u32::MAX, || {
                let (processor, delivery, rejection) =
                    (Arc::clone(&self.processor), Arc::clone(delivery), rejection.clone());
                async move { processor.rejected(&delivery, &rejection).await }
            })
            .await;
        let left = match left {
            Ok(outputs) => self.too_large(&outputs).map_or(Ok(outputs), |too_large| Err(too_large.code)),
            Err(Ended::Abandoned) => return Ok(Finish::Abandoned),
            Err(Ended::Stop(error)) => return Err(error),
            Err(Ended::Reject(second)) => Err(second.code),
            Err(Ended::Requeue) => Err(rejection.code),
        };
        let outputs = left.unwrap_or_else(|code| {
            error!(stage, %position, code, "a rejection could not be settled: only its dead letter is left");
            rejection.message = format!("{}; and settling the rejection failed with {code}", rejection.message);
            Vec::new()
        });
        self.finish_rejected(delivery, rejection, outputs).await
    }

    /// Who sent the record, as far as the processor can tell.
    fn sender(&self, delivery: &Delivery) -> Option<String> {
        catch_unwind(AssertUnwindSafe(|| self.processor.sender(&delivery.record))).unwrap_or_default()
    }

    /// Ends a record as rejected: with the outputs of its rejection, and its dead letter.
    async fn finish_rejected(
        &self,
        delivery: &Arc<Delivery>,
        rejection: Rejection,
        mut outputs: Vec<Output>,
    ) -> Result<Finish, FlowError> {
        let (stage, position) = (&self.config.name, delivery.record.position());
        if rejection.fault != Fault::Sender || self.sender_faults.note(&delivery.record.topic, rejection.code) {
            warn!(stage, %position, code = rejection.code, message = rejection.message, "rejected");
        }
        match self.dead_letter(delivery, &rejection).await {
            Ok(letter) => outputs.extend(letter),
            Err(ended) => return ended.without_result(),
        }
        Ok(Finish::Rejected(with_trace(outputs, delivery), Cause::of(&rejection)))
    }

    /// The dead letter: with its value in the store when it is too large for a record, and with as
    /// much of key and headers as it has room for. No record may be so large that it stops the
    /// stage.
    async fn dead_letter(&self, delivery: &Arc<Delivery>, rejection: &Rejection) -> Result<Option<Output>, Ended> {
        let Some(topic) = &self.config.dead_letters_topic else { return Ok(None) };
        let record = &delivery.record;
        let build = |kept: Kept| {
            dead_letter::output(&self.config.name, topic, delivery, rejection, kept, now_ms()).map_err(Ended::Stop)
        };
        let room = |letter: &Output| self.config.max_output_bytes.checked_sub(letter.size_bytes());
        let size_bytes = record.size_bytes();
        // Not even tried where it cannot fit: a record may be many times the limit, and a letter is
        // a copy.
        if size_bytes <= self.config.max_output_bytes {
            let whole = build(Kept::all(record))?;
            if room(&whole).is_some() {
                return Ok(Some(whole));
            }
        }
        let value_ref = match (&self.config.dead_letter_store, &record.value) {
            (_, None) => None,
            (Some(store), Some(_)) => Some(self.store_value(store, delivery).await?),
            (None, Some(_)) => {
                return Err(Ended::Stop(FlowError::DeadLetterTooLarge {
                    stage: self.config.name.clone(),
                    position: record.position().to_string(),
                    size_bytes,
                    limit_bytes: self.config.max_output_bytes,
                }));
            }
        };
        let kept = Kept::but_for_value(record, value_ref);
        // The bare letter's message is the longest: it tells of all that is left out.
        let bare = build(kept.clone().bare())?;
        build(kept.within(record, room(&bare).unwrap_or(0))).map(Some)
    }

    /// Where the value lies from now on. It is waited for as long as the store is away, since the
    /// bytes are nowhere else but in the topic; a store that can never take them is not asked
    /// again.
    async fn store_value(
        &self,
        store: &Arc<dyn DeadLetterStore>,
        delivery: &Arc<Delivery>,
    ) -> Result<BodyReference, Ended> {
        self.retry_until_done(delivery, u32::MAX, || {
            let (store, delivery) = (Arc::clone(store), Arc::clone(delivery));
            async move {
                let value = delivery.record.value.as_deref().unwrap_or_default();
                match store.store(&delivery.record, value).await {
                    Err(StageError::Reject(refused)) => {
                        let position = delivery.record.position();
                        error!(%position, code = refused.code, "a dead letter's value cannot be kept");
                        Ok(Kept::nowhere(value.len()))
                    }
                    other => other.map_err(as_dependency),
                }
            }
        })
        .await
    }

    /// Tries until it succeeds, [`next_step`] says otherwise, or the partition leaves. From then on
    /// no wait begins: waits may be as long as the drain budget, and the record's next owner tries
    /// it as often as this owner would have.
    async fn retry_until_done<T, F>(
        &self,
        delivery: &Arc<Delivery>,
        deliveries: u32,
        attempt: impl Fn() -> F,
    ) -> Result<T, Ended>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StageError>> + Send + 'static,
    {
        let mut tries = Tries { deliveries, ..Tries::default() };
        let mut suspended = None;
        loop {
            let result = guarded(attempt()).await;
            if delivery.shutdown.is_cancelled() {
                return Err(Ended::Abandoned);
            }
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let (wait, scope) = match next_step(&error, tries, &self.config, rand::random()) {
                Step::Again { wait, scope } => (wait, scope),
                Step::Reenqueue => {
                    self.log_failure(delivery, &error, "failed: re-enqueued");
                    return Err(Ended::Requeue);
                }
                Step::Reject(rejection) => return Err(Ended::Reject(rejection)),
                Step::Stop => return Err(Ended::Stop(self.stopped_by(&error))),
            };
            if delivery.draining.is_cancelled() {
                self.log_failure(delivery, &error, "failed: left to the next owner");
                return Err(Ended::Abandoned);
            }
            self.log_failure(delivery, &error, "failed: trying again");
            match scope {
                Scope::Dependency => {
                    tries.of_dependency += 1;
                    // Kept until after the next try: one success of one record opens the intake
                    // again.
                    suspended.get_or_insert_with(|| self.intake.suspend());
                }
                Scope::Record => {
                    tries.of_record += 1;
                    tries.of_dependency = 0;
                    suspended = None;
                }
            }
            if delivery.draining.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Err(Ended::Abandoned);
            }
        }
    }

    fn log_failure(&self, delivery: &Delivery, error: &StageError, what: &str) {
        Counter::StageRetries.increment(&[&self.config.name, error.code()]);
        let (stage, position, trace) = (&self.config.name, delivery.record.position(), delivery.trace.trace_id());
        // Of what only a sender can cause the rejection is told, and that once a minute.
        if fault_of(error.code()) == Fault::Sender {
            debug!(stage, %position, trace, code = error.code(), %error, "{what}");
        } else {
            warn!(stage, %position, trace, code = error.code(), %error, "{what}");
        }
    }

    fn stopped_by(&self, error: &StageError) -> FlowError {
        FlowError::Processor { stage: self.config.name.clone(), code: error.code(), message: error.to_string() }
    }

    fn too_large(&self, outputs: &[Output]) -> Option<Rejection> {
        let output = outputs.iter().find(|output| output.size_bytes() > self.config.max_output_bytes)?;
        Some(Rejection::new(
            OUTPUT_TOO_LARGE,
            format!(
                "an output of {} bytes for topic {} is over the limit of {} bytes",
                output.size_bytes(),
                output.topic,
                self.config.max_output_bytes
            ),
        ))
    }
}

/// Runs a processor's future so that its panic is an error of this record. The panic's text stays
/// in the process's own log: it may hold document text.
async fn guarded<T: Send + 'static>(
    future: impl Future<Output = Result<T, StageError>> + Send + 'static,
) -> Result<T, StageError> {
    let mut future = std::pin::pin!(future);
    // Not a task of its own: one more for each record would be felt. After a panic the future is
    // not polled again.
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let message = "the processor panicked; the process's log says where";
            Poll::Ready(Err(StageError::record(PANICKED, message)))
        })
    })
    .await
}

fn as_dependency(error: StageError) -> StageError {
    match error {
        StageError::Retry { code, message, after, .. } => {
            StageError::Retry { scope: Scope::Dependency, code, message, after }
        }
        other => other,
    }
}

/// Carries the trace to what the record led to, unless the processor did.
fn with_trace(mut outputs: Vec<Output>, delivery: &Delivery) -> Vec<Output> {
    for output in outputs.iter_mut().filter(|output| output.headers.get(TRACEPARENT).is_none()) {
        output.headers.push(TRACEPARENT, delivery.trace.to_header());
    }
    outputs
}

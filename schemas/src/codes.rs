//! Codes: stable names of events of a record, a document, a tier or a process.
//!
//! A code is a metric label, a header of a dead letter, a field of an outcome and a row of the
//! runbook. Codes between services are used from here. A library that knows no schemas spells its
//! own codes, and a test of the command line compares all sources with this list.

/// Where a code occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Met {
    /// A dead letter alone: the record has no identity that could be settled.
    DeadLetter,
    /// An outcome `failed`, with a dead letter that keeps the bytes where the request is at fault.
    Failed,
    /// An outcome `flagged` or `failed`: no tier was left.
    Exhausted,
    /// A check of an answer; the checks that decide are the policy's `gates`.
    Check,
    /// A tier that is not eligible, or a worker's refusal: the router decides anew.
    Refusal,
    /// A retry: the same again, later; intake may pause.
    Retry,
    /// The process, or the command, ends with an error.
    Stop,
    /// A file or line that the command line did not read.
    Input,
    /// A dead letter that `precis dead-letters replay` left alone.
    Replay,
    /// An evaluation `failed`: the summary was not judged.
    Evaluation,
    /// A figure of quality, a threshold or a drift test that cannot be computed.
    Figure,
}

impl Met {
    /// Every place, in the order of the reference.
    pub const ALL: [Self; 11] = [
        Self::DeadLetter,
        Self::Failed,
        Self::Exhausted,
        Self::Check,
        Self::Refusal,
        Self::Retry,
        Self::Stop,
        Self::Input,
        Self::Replay,
        Self::Evaluation,
        Self::Figure,
    ];

    /// Heading of the reference's section on these codes.
    pub fn title(self) -> &'static str {
        match self {
            Self::DeadLetter => "Dead letters: records without an identity to settle",
            Self::Failed => "Outcomes `failed`, with a dead letter that keeps the bytes",
            Self::Exhausted => "Outcomes `flagged` or `failed`, when no tier is left",
            Self::Check => "Checks of an answer",
            Self::Refusal => "Tiers that are not eligible, and workers' refusals",
            Self::Retry => "Retries",
            Self::Stop => "Processes and commands that end",
            Self::Input => "Files and lines that the command line did not read",
            Self::Replay => "Dead letters that a replay left alone",
            Self::Evaluation => "Evaluations `failed`: the summary was not judged",
            Self::Figure => "Figures of quality that cannot be computed",
        }
    }
}

/// Whose fault it is that a record is rejected: what decides whether rejections may pause a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Only the record's sender can cause it: however many such records come, nothing pauses.
    Sender,
    /// Sender or deployment: such as a bug that one text brings out, or a broken device.
    Unknown,
    /// No sender can cause it: such as a record of Précis itself that this build cannot read.
    Ours,
}

/// A code with what it means.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// The code.
    pub name: &'static str,
    /// Where the code occurs.
    pub met: Met,
    /// Whose fault a rejection with this code is.
    pub fault: Fault,
    /// What the code means, and what to do.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($met:ident by $fault:ident { $($constant:ident = $name:literal, $meaning:literal;)* })*) => {
        $($(#[doc = $meaning] pub const $constant: &str = $name;)*)*

        /// Every code.
        pub const ALL: &[Code] = &[$($(Code { name: $name, met: Met::$met, fault: Fault::$fault, meaning: $meaning },)*)*];
    };
}

codes! {
    DeadLetter by Sender {
        EMPTY_RECORD = "empty_record", "The record has no value.";
        NOT_SINGLE_OBJECT = "not_single_object", "The value is no Avro single object; see schemas/README.md, On the wire.";
        UNKNOWN_SCHEMA = "unknown_schema", "No schema of this build has the record's fingerprint; upgrade readers before writers.";
        WRONG_RECORD = "wrong_record", "The record is of another kind than its topic holds.";
        MALFORMED_RECORD = "malformed_record", "The datum does not fit its schema, or has more than 10,000 items.";
        RECORD_TOO_LARGE = "record_too_large", "The record has more than 1 MiB once decompressed; send the text by reference.";
        TENANT_INVALID = "tenant_invalid", "The topic names no tenant: use 1 to 64 of a-z, 0-9, - and _.";
        TENANT_MISMATCH = "tenant_mismatch", "The record names another tenant than its topic.";
        DOCUMENT_ID_INVALID = "document_id_invalid", "The id is empty, over 512 bytes or has control characters.";
        UNPROVED = "unproved", "The record on `work.<tier>` or `escalations` carries no proof that Précis wrote it, or a wrong one; see docs/operate/guarantees.md.";
        REQUEST_MISMATCH = "request_mismatch", "The identity, digest or fingerprint of routed work is not that of its document.";
        ID_CONFLICT = "id_conflict", "Id and revision were used for another request, whose outcome stands; publish with a higher revision.";
    }
    Failed by Sender {
        REVISION_NEGATIVE = "revision_negative", "Revisions count from 0.";
        PURPOSE_NOT_ALLOWED = "purpose_not_allowed", "Publishers' documents are for production alone.";
        TIME_OUT_OF_RANGE = "time_out_of_range", "`submitted_at` or `deadline` lies outside of the years 1 to 9999.";
        BODY_MISSING = "body_missing", "There is neither `text` nor `body`, or the object is not there after a few tries.";
        BODY_AMBIGUOUS = "body_ambiguous", "There are both `text` and `body`; send one.";
        BODY_REFERENCE_INVALID = "body_reference_invalid", "The reference points outside of the tenant's bodies, or makes no sense.";
        BODY_DIGEST_MISMATCH = "body_digest_mismatch", "The object has another digest or size than its reference says.";
        BODY_UNREADABLE = "body_unreadable", "The store refuses to give the object, as when it is encrypted with the publisher's own key.";
        BODY_TOO_LARGE = "body_too_large", "The reference states more bytes than a document may have.";
        NOT_UTF8 = "not_utf8", "The text is no UTF-8.";
        CONTROL_CHARACTERS = "control_characters", "The text has control characters: send plain text, not a binary format.";
        TEXT_EMPTY = "text_empty", "The text has no letter and no digit.";
        TEXT_TOO_LARGE = "text_too_large", "The text has more bytes than the policy's `max_text_bytes`; split the document.";
        TEXT_TOO_SLOW = "text_too_slow", "Reading the text took longer than a minute: a bug; keep its bytes and report it.";
        CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported", "The content type is not `text/plain` or `text/markdown` in UTF-8.";
        LANGUAGE_INVALID = "language_invalid", "A language tag has other characters than letters, digits and hyphens.";
        MAX_WORDS_OUT_OF_RANGE = "max_words_out_of_range", "Fewer than 5 words are asked for, or more than the policy's `max_summary_words`.";
        TITLE_TOO_LONG = "title_too_long", "The title has more than 1,000 bytes.";
        INSTRUCTION_TOO_LONG = "instruction_too_long", "The instruction has more than 4,000 bytes.";
        LABEL_TOO_LONG = "label_too_long", "A label has more than 256 bytes.";
        LABEL_CONTROL_CHARACTERS = "label_control_characters", "The title, the instruction or a label has control characters; leave them out.";
        TOO_MANY_SUBJECTS = "too_many_subjects", "The document names more than 100 subjects.";
    }
    Failed by Unknown {
        CRASH_SUSPECT = "crash_suspect", "The record was in process at four deaths of its process, twice alone; keep its bytes and report it.";
        OUTPUT_TOO_LARGE = "output_too_large", "What became of the record is larger than its topic takes; an answer that was given lies under its `answer_key`.";
        OUTPUT_REFUSED = "output_refused", "The log refuses what became of the record.";
        PROCESSOR_PANICKED = "processor_panicked", "A bug: the record made its processor panic; its bytes are kept.";
    }
    Exhausted by Unknown {
        NO_ELIGIBLE_TIER = "no_eligible_tier", "No tier may have the document; the decision names each tier's reason.";
        HOPS_EXHAUSTED = "hops_exhausted", "As many answers failed their checks as `max_hops` allows.";
        DEADLINE_PASSED = "deadline_passed", "The deadline passed, and `on_late` says not to go on.";
    }
    Check by Unknown {
        EMPTY = "empty", "The answer has no text.";
        REFUSAL = "refusal", "The answer says that the model cannot or will not help.";
        TRUNCATED = "truncated", "The answer ends at its token limit.";
        REPETITION = "repetition", "The answer repeats itself.";
        LANGUAGE = "language", "The answer is in another language than was asked for.";
        LENGTH = "length", "The answer is far longer or shorter than was asked for.";
        UNSUPPORTED_NUMBERS = "unsupported_numbers", "The answer has numbers that the source does not have.";
        UNSUPPORTED_NAMES = "unsupported_names", "The answer has names that the source does not have.";
        COVERAGE = "coverage", "The share of the answer's words that stand in the source.";
        DENSITY = "density", "How long the stretches are that the answer copies.";
        COMPRESSION = "compression", "Words of the source to words of the answer.";
        CONFIDENCE = "confidence", "The model's own probabilities of its tokens.";
        INSTRUCTION = "instruction", "The document has an instruction of its own, which an extract does not follow.";
        CHECK_UNDECIDED = "check_undecided", "The checks took longer than a minute, so nothing is known of the answer: a bug; report it.";
    }
    Refusal by Unknown {
        SENSITIVITY = "sensitivity", "The document's label allows no such tier.";
        RESIDENCY = "residency", "The document's data must stay elsewhere.";
        TENANT = "tenant", "The tier does not serve this tenant.";
        ROLLOUT = "rollout", "The document's id is not among those that the rollout lets in yet.";
        EVALUATIONS_ONLY = "evaluations_only", "The tier judges summaries and takes no documents (`evaluations_only = true`).";
        NOT_A_JUDGE = "not_a_judge", "`evaluation.judges` of the policy does not name the tier, so it judges no summaries.";
        TIER_DISABLED = "tier_disabled", "The policy switches the tier off (`enabled = false`).";
        TIER_OFF = "tier_off", "An operator, or an API worker without key or price, switched the tier off; `precis audit` says who.";
        TIER_DRAINING = "tier_draining", "An operator lets the tier drain.";
        TIER_UNKNOWN = "tier_unknown", "The policy in force has no such tier.";
        TIER_CHANGED = "tier_changed", "The tier's kind changed under the worker, which starts anew.";
        TRIED = "tried", "The tier's answer failed its checks already.";
        REFUSED = "refused", "The tier refused the document under this policy already.";
        BUDGET_EXHAUSTED = "budget_exhausted", "A budget that applies has no room for the request.";
        OUT_OF_MONEY = "out_of_money", "The provider's account has no credit left.";
        TEXT_TOO_MANY_PARTS = "text_too_many_parts", "The engine would read the document in more parts than the policy's `max_parts`.";
        PROMPT_TOO_LONG = "prompt_too_long", "The prompt does not fit the model's context.";
        UNKNOWN_ADAPTER = "unknown_adapter", "The worker has no adapter of the name that the policy gives; register it with `precis models register --adapter`.";
        BAD_ADAPTER = "bad_adapter", "The adapter is broken, was changed since it was registered, or is for another model.";
        ADAPTER_TOO_LARGE = "adapter_too_large", "The adapter needs more memory than `gpu_worker.engine.adapter_bytes` allows, or than is free.";
        PROVIDER_DOWN = "provider_down", "The provider failed for longer than `api_worker.<provider>.breaker` allows.";
        PROVIDER_AUTH = "provider_auth", "The provider does not accept the key.";
        PROVIDER_REFUSED = "provider_refused", "The provider's own filter refuses the document.";
        PROVIDER_BAD_REQUEST = "provider_bad_request", "The provider calls the request wrong.";
        PROVIDER_UNREADABLE = "provider_unreadable", "The provider's answer cannot be read; at most one more request is made for the document.";
        PAID_REQUESTS_EXHAUSTED = "paid_requests_exhausted", "As many requests for the document may have been billed as the tier's `max_paid_requests` allows.";
        NO_KEY = "no_key", "The API worker has no key for the tier's provider.";
        KEY_UNUSABLE = "key_unusable", "The key of the tier's provider cannot be sent in a header.";
        PRICE_UNKNOWN = "price_unknown", "No price is known for the tier's model; a call at an unknown price is never made.";
        PRICE_OVERFLOW = "price_overflow", "The most that the request may cost is beyond what can be counted.";
        PROVIDER_UNKNOWN = "provider_unknown", "No provider has the name that the policy gives.";
    }
    Retry by Unknown {
        CONTROL_STALE = "control_stale", "The worker has not heard from the broker that leads `control` for 5 s, so it sends nothing to a provider.";
        LOG_UNAVAILABLE = "log_unavailable", "The log cannot be reached; intake pauses.";
        LOG_FULL = "log_full", "The disk of the embedded log is full; free space.";
        STORE_UNAVAILABLE = "store_unavailable", "The object store cannot be reached; intake pauses.";
        BUDGET_UNAVAILABLE = "budget_unavailable", "The object store cannot be reached, so nothing may be spent.";
        LEDGER_UNAVAILABLE = "ledger_unavailable", "The ledger takes no record, so no paid request leaves.";
        PROVIDER_THROTTLED = "provider_throttled", "The provider asks for fewer requests (429); sent again as it asks.";
        PROVIDER_OVERLOADED = "provider_overloaded", "The provider is overloaded (503, 529).";
        PROVIDER_UNREACHABLE = "provider_unreachable", "The provider cannot be reached.";
        PROVIDER_ERROR = "provider_error", "The provider failed (5xx), or its answer broke off.";
        REJECT_BREAKER = "reject_breaker", "Nine tenths of the last 200 records of a topic were rejected, possibly for a fault of the service: the topic's intake pauses.";
        STEP_FAILED = "step_failed", "A step of the engine failed for this sequence.";
        CANCELLED = "cancelled", "The request was given up by its caller.";
        ENGINE_STOPPED = "engine_stopped", "The engine has stopped.";
        WAITING_ENDED = "waiting_ended", "The document waited inside the router when its partition moved; the next owner reads it again.";
        STOPPING = "stopping", "The service is about to end.";
    }
    Stop by Unknown {
        LOG_CONFIG = "log_config", "The log's settings cannot work.";
        TLS_NOT_BUILT = "tls_not_built", "TLS is asked for in a build without it (feature `tls`).";
        UNKNOWN_TOPIC = "unknown_topic", "A topic does not exist; `precis topics apply`.";
        RECORD_REFUSED = "record_refused", "A topic's rules refuse a record.";
        LOG_DENIED = "log_denied", "The log refuses this principal; check its ACLs.";
        LOG_CORRUPT = "log_corrupt", "The embedded log's file is damaged.";
        LOG_FORMAT = "log_format", "The embedded log's file was written by another version.";
        GROUP_HELD = "group_held", "Another process works for this group on the embedded log.";
        FENCED = "fenced", "Another instance has the same name; give each its own `log.kafka.instance_id`.";
        OFFSETS_LOST = "offsets_lost", "The group's offset is older than the log, or gone where the log does not start at 0.";
        DEAD_LETTER_TOO_LARGE = "dead_letter_too_large", "A dead letter does not fit its topic, and no store keeps it.";
        KAFKA_CLIENT = "kafka_client", "Kafka's client cannot go on.";
        COMMIT_UNKNOWN = "commit_unknown", "Kafka did not say in time whether a transaction is committed; a service joins its group again, whose offsets tell.";
        LOG_CLOSED = "log_closed", "The log was closed.";
        INTERNAL = "internal", "A bug; please report it.";
        STORE_DENIED = "store_denied", "The object store refuses this principal.";
        STORE_NOT_CONDITIONAL = "store_not_conditional", "The endpoint does not honour `If-None-Match: *` under a race.";
        STORE_MISCONFIGURED = "store_misconfigured", "The object store's settings cannot work.";
        INVALID_KEY = "invalid_key", "An object key is outside of the alphabet or the limits.";
        OBJECT_TOO_LARGE = "object_too_large", "An object has more bytes than `store.max_object_bytes`.";
        BUDGET_UNREADABLE = "budget_unreadable", "An object under `budgets/` is not what it should be.";
        PRICES_MALFORMED = "prices_malformed", "The price file cannot be read.";
        ROUTING_KEY_UNUSABLE = "routing_key_unusable", "The object `keys/routing` holds no key, or the system gives no random bytes for one.";
        CONTROL_UNREAD = "control_unread", "`control` was not read to its end within 30 s.";
        CONFIG_UNREADABLE = "config_unreadable", "The settings file cannot be read.";
        CONFIG_SYNTAX = "config_syntax", "The settings file is no TOML.";
        CONFIG_INVALID = "config_invalid", "Settings break rules; all of them are named.";
        SECRET_UNREADABLE = "secret_unreadable", "A file or variable with a secret cannot be read.";
        SECRET_UNUSABLE = "secret_unusable", "A secret has characters that cannot be sent; the message names its variable or file.";
        BAD_LOG_LEVEL = "bad_log_level", "The log level is not known.";
        CANNOT_LISTEN = "cannot_listen", "The telemetry address cannot be listened on.";
        NO_SIGNALS = "no_signals", "The system takes no signal handlers.";
        INVALID_REQUEST = "invalid_request", "A bug: the engine was asked for what makes no sense.";
        INVALID_ENGINE_CONFIG = "invalid_engine_config", "The engine's settings cannot work.";
        NOT_ENOUGH_MEMORY = "not_enough_memory", "Weights and pool do not fit the machine's memory.";
        NO_DEVICE = "no_device", "The device that is asked for is not there.";
        BAD_MODEL = "bad_model", "The model file is damaged or lacks something.";
        UNSUPPORTED_ARCHITECTURE = "unsupported_architecture", "This engine does not run the model's architecture.";
        UNSUPPORTED_TOKENIZER = "unsupported_tokenizer", "This engine does not read the model's tokenizer.";
        BAD_TEMPLATE = "bad_template", "The model's chat template cannot be used.";
        UNKNOWN_MODEL = "unknown_model", "The manifest has no such model.";
        BAD_MANIFEST = "bad_manifest", "The manifest of models cannot be read.";
        MODEL_MISSING = "model_missing", "The model's file is not there; `precis models pull`.";
        MODEL_NOT_PINNED = "model_not_pinned", "The model's entry has no digest; `precis models pull` says how to pin one.";
        DIGEST_MISMATCH = "digest_mismatch", "A file's SHA-256 is not the pinned one.";
        PULL_FAILED = "pull_failed", "A model cannot be fetched.";
        MODEL_IO = "model_io", "A model's file cannot be read or written.";
    }
    Input by Unknown {
        NO_DOCUMENTS = "no_documents", "A folder holds nothing that is read.";
        NOT_A_FILE = "not_a_file", "A pipe, socket or device in a folder; name it on the command line to read it.";
        OWN_RESULT = "own_result", "The only input was written by precis itself.";
        READER_PANICKED = "reader_panicked", "A bug: reading the file failed; the other files go on.";
        NOT_JSON = "not_json", "A line or file is no JSON object.";
        NO_TEXT_FIELD = "no_text_field", "A JSON object has no text in the field that `--text-field` names.";
        UNREADABLE = "unreadable", "A file cannot be read.";
        BINARY = "binary", "A file is a binary format.";
        TOO_LARGE = "too_large", "A file or line is over the limit.";
    }
    Replay by Unknown {
        UNKNOWN_ID = "unknown_id", "No dead letter has this id.";
        ALREADY_REPLAYED = "already_replayed", "The dead letter went back already.";
        TOPIC_NOT_ALLOWED = "topic_not_allowed", "The dead letter names a topic that its stage does not read: no stage wrote it.";
        OTHER_RECORD = "other_record", "The record at that position is not the one that the dead letter holds.";
        RECORD_GONE = "record_gone", "There is no record at that position any more; `--from-letter` believes the dead letter.";
        AMBIGUOUS_ID = "ambiguous_id", "The record is gone, and dead letters with this id hold different ones.";
        ALREADY_SETTLED = "already_settled", "The document has an outcome; give `--new-revision`.";
        LAST_REVISION = "last_revision", "No higher revision exists.";
        NO_DOCUMENT = "no_document", "The dead letter holds no document.";
    }
    Evaluation by Unknown {
        NO_JUDGE = "no_judge", "No tier of `evaluation.judges` may or can judge the document's summary.";
        JUDGE_UNREADABLE = "judge_unreadable", "The evaluator model answered twice with something else than the object that it was asked for.";
        RESULT_GONE = "result_gone", "The document's result is not in the store any more, or has no summary.";
    }
    Figure by Ours {
        VALUE_NOT_FINITE = "value_not_finite", "A value is NaN or infinite; leave it out.";
        VALUE_OUT_OF_RANGE = "value_out_of_range", "A score, rate, weight or target lies outside of what its meaning allows.";
        LENGTHS_DIFFER = "lengths_differ", "Two lists that belong together differ in length.";
        TOO_FEW_VALUES = "too_few_values", "There are fewer labels or documents than the method needs; the message says how many it needs.";
        FIGURE_UNDEFINED = "figure_undefined", "The figure has no value for such data, such as a correlation with scores that are all alike.";
    }
}

/// Whose fault a rejection with this code is; of a code that is not in the list nobody knows.
pub fn fault_of(name: &str) -> Fault {
    ALL.iter().find(|code| code.name == name).map_or(Fault::Unknown, |code| code.fault)
}

/// The reference as Markdown: one table for each place where codes occur.
pub fn markdown() -> String {
    let row = |code: &Code| format!("| `{}` | {} |\n", code.name, code.meaning);
    let part = |met: Met| {
        let rows: String = ALL.iter().filter(|code| code.met == met).map(row).collect();
        format!("\n## {}\n\n| code | meaning |\n| --- | --- |\n{rows}", met.title())
    };
    Met::ALL.into_iter().map(part).collect()
}

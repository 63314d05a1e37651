//! The table of metrics: name, labels, help. Names follow Prometheus: `precis_` first, the unit
//! last, `_total` on counters.
//!
//! Money is counted in nano-dollars: counters are whole numbers, and a sum of rounded dollars would
//! drift.

use super::{Counter, Gauge, Histogram};

/// What the reference and the exporter know of a metric.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Name in Prometheus.
    pub name: &'static str,
    /// Labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
    /// What the metric counts or measures.
    pub help: &'static str,
    /// Upper bounds of a histogram's buckets, in its own unit; empty for other metrics.
    pub buckets: &'static [f64],
}

/// Declares metrics as associated constants, and the list of their descriptions. The help is the
/// constant's documentation too.
macro_rules! catalogue {
    (
        $(#[$doc:meta])* $list:ident, $kind:ident {
            $($metric:ident, $name:literal, [$($label:literal),*], $help:literal $(, $buckets:expr)?;)*
        }
    ) => {
        $(
            impl $kind<{ count(&[$($label),*]) }> {
                #[doc = $help]
                #[expect(non_upper_case_globals, reason = "read like an enum's variant where it is used")]
                pub const $metric: Self = Self { name: $name, labels: [$($label),*] };
            }
        )*

        $(#[$doc])*
        pub const $list: &[Description] = &[$(Description {
            name: $name,
            labels: &[$($label),*],
            help: $help,
            buckets: first_of!($($buckets,)? &[]),
        }),*];
    };
}

/// The first of several values.
macro_rules! first_of {
    ($first:expr $(, $others:expr)*) => {
        $first
    };
}

/// How many labels a metric has.
const fn count(labels: &[&str]) -> usize {
    labels.len()
}

catalogue! {
    /// Every counter.
    COUNTERS, Counter {
        StageRecords, "precis_stage_records_total", ["stage", "result"],
            "Records that a stage finished: published, rejected (a dead letter) or requeued (at the tail of its own topic, or of `returns`)";
        StageRetries, "precis_stage_retries_total", ["stage", "code"], "Attempts that failed and are tried again, by reason";
        StageDeadLetters, "precis_stage_dead_letters_total", ["stage", "code"], "Dead letters written, by reason";
        StageSenderFaults, "precis_stage_sender_faults_total", ["stage", "tenant", "code"],
            "Records rejected for what only their sender can be at fault for, by tenant and reason: dead letters that pause nothing";
        StageCommits, "precis_stage_commits_total", ["stage", "result"], "Transactions: committed or aborted";
        StageRebalances, "precis_stage_rebalances_total", ["stage", "kind"],
            "Changes of the partitions that a stage owns: assigned, revoked or lost";
        StageRejoins, "precis_stage_rejoins_total", ["stage", "code"],
            "Times that a stage left its group and joined again without ending its process, by why";
        StageUncleanTakeovers, "precis_stage_unclean_takeovers_total", ["stage"],
            "Partitions taken over from an owner that had not given them away: it died, or was cut off";
        LogRestarts, "precis_log_restarts_total", ["group", "reason"],
            "Partitions read again from their beginning: their topic was deleted and made again (recreated), Kafka lost records that had been read (truncated), or all of them expired (expired)";
        RouterDocuments, "precis_router_documents_total", ["tier", "reason"],
            "Documents sent to a tier, by the reason of the choice; tier none when no tier was eligible";
        RouterExtracts, "precis_router_extracts_total", ["tier", "result"],
            "Extracts of documents' own sentences that the router made: accepted or rejected by their checks; tier none where no tier was left";
        RouterMixMisses, "precis_router_mix_misses_total", ["tier", "reason"],
            "First assignments that the target mix wanted at a tier and a rule of the gate sent elsewhere: why a share is off its target";
        Repeats, "precis_repeats_total", [],
            "Documents that were submitted again unchanged, or replayed, and got their stored outcome";
        CacheLookups, "precis_router_cache_lookups_total", ["layer"], "Lookups in a cache layer";
        CacheHits, "precis_router_cache_hits_total", ["layer"], "Lookups that found an acceptable answer";
        Answers, "precis_answers_total", ["tier", "result"], "Answers that a tier gave: accepted or rejected by its checks";
        AnswerTokens, "precis_answer_tokens_total", ["tier", "kind"],
            "Tokens of the answers that a tier gave, read (input) and generated (output), in its own model's count";
        CheckFailures, "precis_check_failures_total", ["check", "tier"], "Checks that a tier's answers failed";
        SecondTries, "precis_second_tries_total", ["tier", "result"],
            "Answers that were given under other rules of decoding, because the first failed its checks: accepted or rejected";
        QualityRecordsSkipped, "precis_quality_records_skipped_total", ["topic"],
            "Records that the controller left out, since it cannot read them";
        QualityAlarmsSent, "precis_quality_alarms_total", ["result"],
            "Alarms that the webhook took (sent), or did not take in a round of tries (failed)";
        Evaluations, "precis_evaluations_total", ["status", "tier"],
            "Summaries that an evaluator model judged, or failed to judge, by the judge's tier; tier none where no tier could";
        Escalations, "precis_escalations_total", ["tier", "code"],
            "Documents that a tier gave back: the first failed check, or the refusal";
        Outcomes, "precis_outcomes_total", ["status", "tier"],
            "Documents settled: answered, flagged or failed; tier none when no tier answered, also where an extract stands in";
        SettleLostRaces, "precis_settle_lost_races_total", [],
            "Outcomes given up because another instance had settled the document first";
        EngineTokens, "precis_engine_tokens_total", ["kind"], "Tokens that the engine computed: prefill or decode";
        EnginePrefixLookups, "precis_engine_prefix_lookups_total", ["result"],
            "Sequences admitted: hit when the beginning of the prompt was there already, else miss";
        EnginePrefixTokens, "precis_engine_prefix_tokens_total", [],
            "Prompt tokens that the engine did not compute, because they were there already";
        EngineDocuments, "precis_engine_documents_total", ["result"],
            "Documents that the engine was done with, however many requests they took: summarised or failed; 60 times its rate is documents a minute";
        EngineRequests, "precis_engine_requests_total", ["finish_reason"],
            "Requests that the engine finished, by why generation ended";
        ApiRequests, "precis_api_requests_total", ["provider", "result"],
            "Requests to a provider: ok, or the stable code of the failure";
        ApiRetries, "precis_api_retries_total", ["provider", "code"], "Requests to a provider that are tried again, by reason";
        ApiRepeatedRequests, "precis_api_repeated_requests_total", ["tier"],
            "Requests to a provider beyond the first that may be billed for their document at this tier";
        ApiTokens, "precis_api_tokens_total", ["provider", "kind"], "Tokens that a provider billed: input, `cached_input` or output";
        LedgerUnsettled, "precis_ledger_unsettled_total", [],
            "Settlements of paid requests that could not be written: these count as possibly billed";
        ApiCost, "precis_api_cost_nano_dollars_total", ["tier"],
            "What providers billed, in billionths of a US dollar; divide by 1e9 for dollars";
    }
}

catalogue! {
    /// Every gauge.
    GAUGES, Gauge {
        StageInFlight, "precis_stage_in_flight", ["stage"], "Records read whose outputs are not committed yet";
        StageLag, "precis_stage_lag_records", ["stage"], "Records between what a stage committed and the end of its partitions";
        StageOldestIncompleteSeconds, "precis_stage_oldest_incomplete_seconds", ["stage"],
            "Age of the record in flight that has waited longest; 0 when none is";
        StageCommitAgeSeconds, "precis_stage_commit_age_seconds", ["stage"],
            "Age of the transaction that the log has in hand; 0 when it has none";
        LogPartitionsStopped, "precis_log_partitions_stopped", ["group"],
            "Partitions that are not read, since records expired before they were read or the group's offsets are gone: `offsets_lost` in the log names them";
        StagePaused, "precis_stage_paused", ["stage"], "1 while a stage takes nothing in because a dependency is down";
        StageTopicPaused, "precis_stage_topic_paused", ["stage", "topic"],
            "1 while a topic waits, or few of its records are tried, because nearly all of them were rejected, possibly for a fault of the service";
        TextBytesHeld, "precis_text_bytes_held", ["service"],
            "Bytes of document text that a process holds at once, or has room reserved for";
        TextBytesLimit, "precis_text_bytes_limit", ["service"],
            "The most bytes of text that it may hold (`max_text_bytes_in_process`): documents wait for room where what is held stays close to it";
        QualityIndexMean, "precis_quality_index_mean", ["tier", "window"],
            "Mean of the quality index over the watched days (current) and those that they are compared with (baseline), as the controller has it";
        QualityIndexLow, "precis_quality_index_low", ["tier", "window"],
            "Lower end of the interval of that mean at 95 %: of chance among the documents";
        QualityIndexHigh, "precis_quality_index_high", ["tier", "window"], "Upper end of that interval";
        QualityJudgeMean, "precis_quality_judge_mean", ["tier", "window"],
            "The judge's score over all summaries, 0 to 1, by the sample that was judged and the quality index of all";
        QualityJudgeLow, "precis_quality_judge_low", ["tier", "window"], "Lower end of the interval of that estimate at 95 %";
        QualityJudgeHigh, "precis_quality_judge_high", ["tier", "window"], "Upper end of that interval";
        QualityChange, "precis_quality_change_ratio", ["tier"],
            "Current mean of the quality index less the baseline's, as a share of the baseline's";
        QualityTestLevel, "precis_quality_test_level", ["tier"],
            "How far the sequential test of the quality index is on its way to an alarm, 0 to less than 1";
        QualityFallenGroups, "precis_quality_fallen_groups", ["cause"],
            "Groups whose quality index fell, by the sequential test, within a day; by cause, which is unknown where the outcomes do not tell";
        TableAgeSeconds, "precis_table_age_seconds", ["topic"],
            "Time since a followed topic was last read to its end; beyond 10 nothing is sent to a provider";
        RouterShare, "precis_router_share", ["tier"], "Share of recent documents sent to a tier, 0 to 1";
        RouterTarget, "precis_router_target_share", ["tier"],
            "Share that first assignments aim at: the policy's, or less while a tier's rate limit binds";
        RouterShadowPrice, "precis_router_shadow_price", ["tier"],
            "Accepted answers that one more place at a tier would add, 0 to 1; 0 while it has room to spare";
        TierBacklog, "precis_tier_backlog", ["tier"],
            "Documents in a tier's topic that its workers have not finished, about; not measured for a tier without a limit";
        TierStuckSeconds, "precis_tier_stuck_seconds", ["tier"],
            "How long a tier's topic has been full while its workers finished nothing; 0 while they do";
        RouterWaiting, "precis_router_waiting", ["tier"],
            "Documents that a router holds until there is room in their tier's topic, or in their tenant's quota; behind them wait those not yet read";
        RouterWaitingTenants, "precis_router_waiting_tenants", ["tier"], "Tenants whose documents those are";
        TierOn, "precis_tier_on", ["tier"], "1 while a tier may be given work, 0 while it is off or drains";
        EngineSequencesRunning, "precis_engine_sequences_running", [], "Sequences in the engine's batch";
        EngineSequencesWaiting, "precis_engine_sequences_waiting", [], "Sequences that wait for room in the batch";
        EngineKvBlocksUsed, "precis_engine_kv_blocks_used", [], "Key-value cache blocks in use";
        EngineKvBlocksPinned, "precis_engine_kv_blocks_pinned", [],
            "Key-value cache blocks that hold the beginning shared by prompts; not counted as in use";
        EngineKvBlocksTotal, "precis_engine_kv_blocks_total", [], "Key-value cache blocks there are";
        ApiBreakerState, "precis_api_breaker_state", ["provider", "model"],
            "Whether requests go to a model of a provider: 0 they do, 1 one probes, 2 none does, since it looks down";
        ApiUnreadableState, "precis_api_unreadable_state", ["provider", "model"],
            "Whether requests go to a model of a provider although its answers cannot be read: 0 they do, 1 one probes, 2 none does, since too many in a row could not";
        BudgetLeftDollars, "precis_budget_left_dollars", ["budget"],
            "What this instance knows to be left of a budget's window, US dollars; below 0 a debt. Of a budget that each tenant has for itself, the least that any has";
        BudgetLimitDollars, "precis_budget_limit_dollars", ["budget"], "The limit of a budget, US dollars";
        LedgerOpenAttempts, "precis_ledger_open_attempts", [],
            "Paid requests of this process whose settlement is not written: in flight, or the log could not take it";
        PremiumPrice, "precis_premium_price_nano_dollars", ["kind"],
            "What one token costs at the policy's last tier at a provider, in billionths of a US dollar: input or output";
        BuildInfo, "precis_build_info", ["version"], "Always 1; the label says which version runs";
        ProcessStartTimeSeconds, "process_start_time_seconds", [], "When this process started, in seconds since 1970";
        ProcessResidentMemoryBytes, "process_resident_memory_bytes", [], "Memory of this process that is in RAM";
        ProcessOpenFds, "process_open_fds", [], "Files and sockets that this process holds open";
        ProcessThreads, "process_threads", [], "Threads of this process";
    }
}

/// From a lookup of a millisecond to a long document on a small machine.
const PROCESS_SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const COMMIT_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Up to a day: queues make it hours, and deadlines are in hours.
const DOCUMENT_SECONDS: &[f64] =
    &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0];
const STEP_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// From one sequence that decodes to a full step of a large device.
const STEP_TOKENS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0];
const SHARES: &[f64] = &[0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Shares of one, finer where most summaries are; a summary may be longer than was asked for.
const QUALITY_SCORES: &[f64] = &[0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.5, 2.0];
const REQUEST_SECONDS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

catalogue! {
    /// Every histogram.
    HISTOGRAMS, Histogram {
        StageProcessSeconds, "precis_stage_process_seconds", ["stage"], "Time to process one record, without waiting for its commit", PROCESS_SECONDS;
        StageCommitSeconds, "precis_stage_commit_seconds", ["stage"], "Time of one transaction, from begin to acknowledged", COMMIT_SECONDS;
        RouterWaitSeconds, "precis_router_wait_seconds", ["tier"],
            "Time that a document waited in a router for room in its tier's topic, or in its tenant's quota; those that waited only", DOCUMENT_SECONDS;
        OutcomeSeconds, "precis_outcome_seconds", ["tier"], "Time from submission to outcome; tier none when no tier answered", DOCUMENT_SECONDS;
        EngineStepSeconds, "precis_engine_step_seconds", ["phase"],
            "Time of one step of the engine's whole batch: decode (answers only), prefill (prompts only) or mixed", STEP_SECONDS;
        EngineStepTokens, "precis_engine_step_tokens", ["phase"], "Tokens that one step of the engine computed", STEP_TOKENS;
        EngineBatchFill, "precis_engine_batch_fill_ratio", [],
            "Sequences in one step of the engine, as a share of the most that may run together", SHARES;
        QualityIndex, "precis_quality_index_ratio", ["tier", "model", "prompt", "document_type", "language"],
            "Quality index of each summary, 0 to 1, by the policy's weights. Prompt: standard, instruction (the publisher's own) or none; a type that the policy does not name and a language that the checks do not know are `other`, a language that is neither labelled nor told from the text is `unknown`", QUALITY_SCORES;
        QualityScore, "precis_quality_score_ratio", ["score", "tier", "model", "prompt", "document_type", "language"],
            "Each score of each summary: coverage, repetition, precision in the source, novelty and length as ratios; against the publisher's reference ROUGE (F, stemmed), and BLEU and chrF as shares of one", QUALITY_SCORES;
        EvaluationScore, "precis_evaluation_score_ratio", ["criterion", "tier", "model", "prompt", "document_type", "language"],
            "What evaluator models said of summaries, 0 to 1, by criterion: faithfulness, coverage, coherence, conciseness, and all of them. The other labels are those of the summary, as in `precis_quality_index_ratio`", QUALITY_SCORES;
        ApiLatencySeconds, "precis_api_latency_seconds", ["provider"], "Time of one request to a provider, retries apart", REQUEST_SECONDS;
    }
}

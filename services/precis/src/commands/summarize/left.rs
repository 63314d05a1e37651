//! Records that the stages of this process have not processed: whether a run has anything left to
//! wait for.

use std::collections::BTreeSet;

use precis_flow::TopicStatus;
use precis_pipeline::runtime::group;
use precis_pipeline::{Runtime, topics};

/// Whether the router, or a stage of one of these work topics, has records left.
pub(super) async fn any_left(runtime: &Runtime, work: &BTreeSet<String>) -> anyhow::Result<bool> {
    let topics = runtime.log.topics().await?;
    let read = precis_router::subscription(&runtime.topics);
    if left_for(runtime, precis_router::STAGE, topics.iter().filter(|topic| read.matches(&topic.name))).await? {
        return Ok(true);
    }
    for name in work {
        if left_for(runtime, name, topics.iter().filter(|topic| topic.name == *name)).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Work topics with records that nobody in this process takes.
pub(super) async fn stranded(runtime: &Runtime, served: &BTreeSet<String>) -> anyhow::Result<Vec<String>> {
    let mut stranded = Vec::new();
    for topic in runtime.log.topics().await? {
        let elsewhere = topic.name.starts_with(topics::WORK_PREFIX) && !served.contains(&topic.name);
        if elsewhere && left_for(runtime, &topic.name, std::iter::once(&topic)).await? {
            stranded.push(topic.name);
        }
    }
    Ok(stranded)
}

/// Whether the group of a stage has records left in these topics. Of a partition where the group
/// has never committed an offset, all records are left.
async fn left_for(
    runtime: &Runtime,
    stage: &str,
    topics: impl Iterator<Item = &TopicStatus>,
) -> Result<bool, precis_flow::FlowError> {
    let lags = runtime.log.group_lag(&group(stage)).await?;
    Ok(topics.flat_map(|topic| topic.partitions.iter().map(|ends| (&topic.name, ends))).any(|(name, ends)| {
        let known = lags.iter().find(|lag| *lag.partition.topic == **name && lag.partition.partition == ends.partition);
        known.map_or(ends.high > ends.low, |lag| lag.lag > 0)
    }))
}

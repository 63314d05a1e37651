//! Who may do what on the log: what its access control lists must say where everything else is
//! denied.
//!
//! Tenants are told apart by topic, and a restricted document stays where it may be because nobody
//! but the router writes work. So the lists are part of the guarantee, and are made from the list
//! of topics itself: a topic that nobody thought of would be nobody's.

use precis_policy::TierKind;

use super::list::{Name, TOPICS};
use super::{DOCUMENTS_PREFIX, ROUTER_STAGE, WORK_PREFIX, documents, group, work};

/// Who uses the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Writes one tenant's documents.
    Publisher,
    /// Reads outcomes, of all tenants: `summaries` is one topic.
    Reader,
    /// The router.
    Router,
    /// A worker of tiers of kind `gpu`.
    GpuWorker,
    /// A worker of tiers of kind `api`.
    ApiWorker,
    /// Whoever runs `precis` to create topics, switch tiers, apply policies and replay.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Publisher, Self::Reader, Self::Router, Self::GpuWorker, Self::ApiWorker, Self::Operator];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Reader => "reader",
            Self::Router => "router",
            Self::GpuWorker => "gpu-worker",
            Self::ApiWorker => "api-worker",
            Self::Operator => "operator",
        }
    }

    /// Whether it is a service, so that it processes documents and stores results.
    pub fn is_service(self) -> bool {
        matches!(self, Self::Router | Self::GpuWorker | Self::ApiWorker)
    }
}

/// A kind of resource, as Kafka's access control lists know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
    /// A transactional id.
    TransactionalId,
}

/// What may be done, as Kafka's access control lists call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are Kafka's")]
pub enum Operation {
    Read,
    Write,
    Create,
    Describe,
    DescribeConfigs,
}

/// One permission: everything that is not permitted is denied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Who.
    pub role: Role,
    /// The tenant of a publisher; `None` for the other roles.
    pub tenant: Option<String>,
    /// On what kind of resource.
    pub kind: ResourceKind,
    /// Its name, or what its name begins with.
    pub name: String,
    /// Whether `name` is a beginning.
    pub is_prefix: bool,
    /// What.
    pub operations: Vec<Operation>,
}

/// A tier and its kind.
pub type TierName<'a> = (&'a str, TierKind);

/// All permissions for these tenants and tiers. `id_prefix` is the setting
/// `log.kafka.transactional_id_prefix`.
pub fn grants(tenants: &[String], tiers: &[TierName<'_>], id_prefix: &str) -> Vec<Grant> {
    let mut grants = Vec::new();
    for role in Role::ALL {
        for topic in &TOPICS {
            let (reads, writes) = (topic.readers.contains(&role), topic.writers.contains(&role));
            let mut operations = Vec::new();
            operations.extend(reads.then_some(Operation::Read));
            operations.extend(writes.then_some(Operation::Write));
            if role == Role::Operator {
                operations.extend([Operation::Create, Operation::DescribeConfigs]);
            }
            if operations.is_empty() && !(role == Role::Router && topic.name == Name::OfTiers) {
                continue;
            }
            operations.push(Operation::Describe);
            let topics = topics_of(role, topic.name, tenants, tiers);
            grants.extend(topics.into_iter().map(|(tenant, name, is_prefix)| Grant {
                role,
                tenant,
                kind: ResourceKind::Topic,
                name,
                is_prefix,
                operations: operations.clone(),
            }));
        }
        grants.extend(of_groups_and_ids(role, tiers, id_prefix));
    }
    grants
}

/// The topics of one kind that a role is allowed, each with its tenant for a publisher, and whether
/// the name is a beginning.
fn topics_of(
    role: Role,
    name: Name,
    tenants: &[String],
    tiers: &[TierName<'_>],
) -> Vec<(Option<String>, String, bool)> {
    match (name, role) {
        (Name::Exact(name), _) => vec![(None, name.to_owned(), false)],
        (Name::OfTenants, Role::Publisher) => {
            tenants.iter().map(|tenant| (Some(tenant.clone()), documents(tenant), false)).collect()
        }
        // New tenants come while the router runs.
        (Name::OfTenants, _) => vec![(None, DOCUMENTS_PREFIX.to_owned(), true)],
        (Name::OfTiers, Role::GpuWorker | Role::ApiWorker) => {
            tiers_of(role, tiers).map(|tier| (None, work(tier), false)).collect()
        }
        // A new policy may have other tiers.
        (Name::OfTiers, _) => vec![(None, WORK_PREFIX.to_owned(), true)],
    }
}

fn tiers_of<'a>(role: Role, tiers: &'a [TierName<'a>]) -> impl Iterator<Item = &'a str> {
    let wanted = if role == Role::GpuWorker { TierKind::Gpu } else { TierKind::Api };
    tiers.iter().filter(move |(_, kind)| *kind == wanted).map(|(name, _)| *name)
}

/// Groups and transactional ids of a role.
fn of_groups_and_ids(role: Role, tiers: &[TierName<'_>], id_prefix: &str) -> Vec<Grant> {
    use Operation::{Describe, Read, Write};
    let grant = |kind, name: String, is_prefix, operations: &[Operation]| Grant {
        role,
        tenant: None,
        kind,
        name,
        is_prefix,
        operations: operations.to_vec(),
    };
    let stages: Vec<String> = match role {
        Role::Router => vec![ROUTER_STAGE.to_owned()],
        Role::GpuWorker | Role::ApiWorker => tiers_of(role, tiers).map(work).collect(),
        Role::Publisher | Role::Reader | Role::Operator => Vec::new(),
    };
    let mut grants = Vec::new();
    for group in stages.iter().map(|stage| group(stage)) {
        // With the dot at its end: the tier `gpu` is not the beginning of the tier `gpu-2`.
        grants.push(grant(ResourceKind::TransactionalId, format!("{id_prefix}.{group}."), true, &[Write, Describe]));
        grants.push(grant(ResourceKind::Group, group, false, &[Read, Describe]));
    }
    match role {
        // How much waits in a tier's topic.
        Role::Router => grants.push(grant(ResourceKind::Group, group(WORK_PREFIX), true, &[Describe])),
        // Whoever changes `control` holds its name.
        Role::ApiWorker => {
            let name = format!("{id_prefix}.exclusive.control");
            grants.push(grant(ResourceKind::TransactionalId, name, false, &[Write, Describe]));
        }
        Role::Operator => {
            grants.push(grant(ResourceKind::Group, group(""), true, &[Describe]));
            let name = format!("{id_prefix}.exclusive.");
            grants.push(grant(ResourceKind::TransactionalId, name, true, &[Write, Describe]));
        }
        Role::Reader => grants.push(grant(ResourceKind::Group, READER_GROUPS.to_owned(), true, &[Read, Describe])),
        Role::Publisher | Role::GpuWorker => {}
    }
    if role.is_service() || role == Role::Operator {
        // Reads without a group; its client asks for the coordinator of this name all the same.
        grants.push(grant(ResourceKind::Group, format!("{id_prefix}.reader"), false, &[Describe]));
    }
    grants
}

/// What the names of readers' groups begin with: a reader must not be able to take a service's.
pub const READER_GROUPS: &str = "summaries-reader";

#[cfg(test)]
mod tests;

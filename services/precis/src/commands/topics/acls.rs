//! `precis topics acls`: who may do what on Kafka and in the store, where all else is denied.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use precis_flow::LogKind;
use precis_objects::keys;
use precis_pipeline::topics::access::{Grant, Operation, READER_GROUPS, ResourceKind, Role, TierName, grants};
use precis_policy::Policy;
use serde_json::json;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::operations::topics::check_tenant;
use crate::output::Output;

/// What stands for the tenant in a publisher's principal.
const TENANT_PLACEHOLDER: &str = "{tenant}";

#[derive(Debug, clap::Args)]
pub(super) struct AclArgs {
    /// Tenant whose publishers may write; may be repeated [default: those of the settings]
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
    /// Principal of a role, such as router=User:CN=router; may be repeated. Roles: publisher (with
    /// {tenant} in it), reader, router, gpu-worker, api-worker, operator
    #[arg(long, value_name = "ROLE=PRINCIPAL", value_parser = principal)]
    principal: Vec<(Role, String)>,
}

/// Rights of a role below a prefix of the store.
struct StoreRight {
    role: Role,
    tenant: Option<String>,
    prefix: String,
    rights: &'static [&'static str],
}

pub(super) async fn run(environment: &Environment, args: AclArgs, out: &Output) -> anyhow::Result<Exit> {
    let settings = environment.common()?;
    let tenants = if args.tenant.is_empty() { settings.topics.tenants } else { args.tenant };
    tenants.iter().try_for_each(|name| check_tenant(name))?;
    let policy = policy(environment).await?;
    let tiers: Vec<TierName<'_>> = policy.tiers.iter().map(|tier| (tier.name.as_str(), tier.kind)).collect();
    let grants = grants(&tenants, &tiers, &settings.log.kafka.transactional_id_prefix);
    let principals = principals(args.principal)?;
    let rights = store_rights(&tenants);
    if out.json() {
        for grant in &grants {
            out.value(&json!({
                "role": grant.role.name(), "tenant": grant.tenant, "principal": of(&principals, grant.role, grant.tenant.as_deref()),
                "resource": kind_flag(grant.kind), "name": grant.name, "prefixed": grant.is_prefix,
                "operations": grant.operations.iter().map(|one| operation_name(*one)).collect::<Vec<_>>(),
            }))?;
        }
        for StoreRight { role, tenant, prefix, rights } in &rights {
            out.value(&json!({
                "role": role.name(), "tenant": tenant, "resource": "store", "name": prefix, "prefixed": true, "operations": rights,
            }))?;
        }
        return Ok(Exit::Done);
    }
    out.text(script(&grants, &principals, &rights));
    Ok(Exit::Done)
}

/// The policy in force; where the log cannot be reached yet, the one of the settings.
async fn policy(environment: &Environment) -> anyhow::Result<std::sync::Arc<Policy>> {
    let settings = environment.common()?;
    if settings.log.kind == LogKind::Kafka
        && let Ok(log) = precis_flow::open(&settings.log).await
        && let Ok(control) = environment.control(&log).await
    {
        return Ok(control.effective().policy);
    }
    Ok(std::sync::Arc::new(settings.policy.load()?))
}

/// The script, which is all comments and calls of one program.
fn script(grants: &[Grant], principals: &BTreeMap<Role, String>, rights: &[StoreRight]) -> String {
    let mut text = String::from(
        "#!/bin/sh\n\
         # Who may do what on Kafka. It holds only where the brokers deny everything else and create no topic by themselves:\n\
         #   authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         #   allow.everyone.if.no.acl.found=false\n\
         #   auto.create.topics.enable=false\n\
         # and where services do not create topics either: topics.create = false in their settings.\n\
         # Whoever may create documents.<name> makes a tenant. Nobody may delete topics or records by these lists.\n\
         set -eu\n\
         : \"${BROKERS:?set BROKERS to host:port of a broker, and ADMIN to a client's properties file}\"\n\
         acl() { kafka-acls.sh --bootstrap-server \"$BROKERS\" --command-config \"$ADMIN\" --add \"$@\"; }\n",
    );
    let mut section = None;
    for grant in grants {
        let principal = of(principals, grant.role, grant.tenant.as_deref());
        if section.as_ref() != Some(&principal) {
            let of_tenant = grant.tenant.as_ref().map(|tenant| format!(" of tenant {tenant}")).unwrap_or_default();
            let _ = writeln!(text, "\n# {}{of_tenant}{}", grant.role.name(), remark(grant.role));
            section = Some(principal.clone());
        }
        let operations: String =
            grant.operations.iter().map(|one| format!(" --operation {}", operation_name(*one))).collect();
        let pattern = if grant.is_prefix { " --resource-pattern-type prefixed" } else { "" };
        let _ = writeln!(
            text,
            "acl --allow-principal {}{operations} --{} {}{pattern}",
            quoted(&principal),
            kind_flag(grant.kind),
            quoted(&grant.name)
        );
    }
    text.push_str("\n# The store: a prefix, and what a role may do below it. Everything else is denied to it.\n");
    for StoreRight { role, tenant, prefix, rights } in rights {
        let who =
            tenant.as_ref().map_or_else(|| role.name().to_owned(), |tenant| format!("{} of {tenant}", role.name()));
        let _ = writeln!(text, "#   {who:28} {prefix:32} {}", rights.join(", "));
    }
    text.trim_end().to_owned()
}

fn remark(role: Role) -> String {
    match role {
        Role::Reader => format!(" (of all tenants: summaries is one topic), in groups that begin with {READER_GROUPS}"),
        Role::Operator => " (creates topics, switches tiers, applies policies, replays)".to_owned(),
        _ => String::new(),
    }
}

/// What each role needs in the bucket. Services keep everything there; nobody else may write what
/// they believe.
fn store_rights(tenants: &[String]) -> Vec<StoreRight> {
    let mut rights = Vec::new();
    for tenant in tenants {
        let right = |role, prefix, rights| StoreRight { role, tenant: Some(tenant.clone()), prefix, rights };
        // A create that is tried again reads what the first try left.
        rights.push(right(Role::Publisher, keys::bodies_of(tenant), &["create", "read"]));
        rights.push(right(Role::Reader, keys::results_of(tenant), &["read", "list"]));
    }
    for role in Role::ALL.into_iter().filter(|role| role.is_service()) {
        rights.push(StoreRight {
            role,
            tenant: None,
            prefix: String::new(),
            rights: &["create", "read", "list", "delete"],
        });
    }
    for (prefix, may) in [
        ("policies/", &["create", "read"][..]),
        ("dead-letters/", &["read"]),
        ("bodies/", &["create", "read"]),
        ("results/", &["read", "list"]),
        ("evaluations/", &["read", "list"]),
        // A controller runs with an operator's rights.
        ("alarms/", &["create", "read", "list", "delete"]),
        // A dead letter of routed work is shown to be ours before it is asked for anew.
        ("keys/", &["create", "read"]),
        // Whatever opens the store proves first that it creates an object once.
        ("probes/", &["create", "read", "delete"]),
    ] {
        rights.push(StoreRight { role: Role::Operator, tenant: None, prefix: prefix.to_owned(), rights: may });
    }
    rights
}

/// The principal of each role: as stated, else a name made of the role's.
fn principals(stated: Vec<(Role, String)>) -> anyhow::Result<BTreeMap<Role, String>> {
    let mut principals: BTreeMap<Role, String> =
        Role::ALL.into_iter().map(|role| (role, format!("User:precis-{}", role.name()))).collect();
    principals.insert(Role::Publisher, format!("User:publisher-{TENANT_PLACEHOLDER}"));
    for (role, principal) in stated {
        if role == Role::Publisher && !principal.contains(TENANT_PLACEHOLDER) {
            bail!("the publisher's principal {principal:?} has no {TENANT_PLACEHOLDER}: every tenant needs its own");
        }
        principals.insert(role, principal);
    }
    Ok(principals)
}

fn of(principals: &BTreeMap<Role, String>, role: Role, tenant: Option<&str>) -> String {
    principals.get(&role).cloned().unwrap_or_default().replace(TENANT_PLACEHOLDER, tenant.unwrap_or_default())
}

/// `ROLE=PRINCIPAL` as an argument.
fn principal(text: &str) -> Result<(Role, String), String> {
    let known = || Role::ALL.map(Role::name).join(", ");
    let (role, principal) = text.split_once('=').ok_or("write it as ROLE=PRINCIPAL, such as router=User:CN=router")?;
    let role = Role::ALL.into_iter().find(|known| known.name() == role);
    let role = role.ok_or_else(|| format!("there is no such role; known: {}", known()))?;
    if principal.is_empty() || principal.chars().any(char::is_control) {
        return Err("the principal must be one line of text, such as User:router".to_owned());
    }
    Ok((role, principal.to_owned()))
}

/// A word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn kind_flag(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Topic => "topic",
        ResourceKind::Group => "group",
        ResourceKind::TransactionalId => "transactional-id",
    }
}

fn operation_name(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "Read",
        Operation::Write => "Write",
        Operation::Create => "Create",
        Operation::Describe => "Describe",
        Operation::DescribeConfigs => "DescribeConfigs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_words_and_each_tenant_has_its_own() {
        assert_eq!(principal("router=User:CN=router,O=x"), Ok((Role::Router, "User:CN=router,O=x".to_owned())));
        assert!(principal("router").is_err() && principal("ruler=User:x").is_err() && principal("router=").is_err());
        assert!(principals(vec![(Role::Publisher, "User:all".to_owned())]).is_err());
        let known = principals(vec![(Role::Publisher, "User:{tenant}-pub".to_owned())]).unwrap_or_default();
        assert_eq!(of(&known, Role::Publisher, Some("acme")), "User:acme-pub");
        assert_eq!(of(&known, Role::GpuWorker, None), "User:precis-gpu-worker");
        assert_eq!(quoted("a'; rm"), "'a'\\''; rm'");
    }

    /// Tenant names are escaped in keys: a right for the name as it is would be for nothing.
    #[test]
    fn rights_on_the_store_name_the_escaped_prefixes() {
        let rights = store_rights(&["a_b".to_owned()]);
        let of = |role| {
            rights.iter().filter(|right| right.role == role).map(|right| right.prefix.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(Role::Publisher), ["bodies/a_5fb/"]);
        assert_eq!(of(Role::Reader), ["results/a_5fb/"]);
        let named = |role: Role| of(role).iter().any(|prefix| "keys/routing".starts_with(prefix));
        assert!(!named(Role::Publisher) && !named(Role::Reader), "keys are for services and operators alone");
    }
}

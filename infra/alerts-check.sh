#!/usr/bin/env bash
# Checks infra/prometheus/alerts.yml with promtool: syntax, unit tests, and that every metric it names exists.
#
# Uses the promtool on PATH; without one, on Debian and Ubuntu, the one of the package `prometheus`, unpacked into the
# cache and not installed.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/precis/promtool
rules=$root/infra/prometheus

promtool=$(command -v promtool || true)
if [[ -z $promtool ]]; then
    promtool=$cache/usr/bin/promtool
fi
if [[ ! -x $promtool ]]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "promtool is missing; install Prometheus' command line tools and run this again" >&2
        exit 1
    fi
    apt-cache show prometheus >/dev/null 2>&1 || apt-get update -qq </dev/null >&2
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    if (cd "$folder" && apt-get download -qq -o APT::Sandbox::User="$(id -un)" prometheus && dpkg-deb --extract prometheus_*.deb unpacked); then
        mkdir -p "$cache/usr/bin"
        mv "$folder/unpacked/usr/bin/promtool" "$promtool"
    fi
fi

if [[ -x $promtool ]]; then
    "$promtool" check rules "$rules/alerts.yml"
    "$promtool" test rules "$rules/alerts.test.yml"
else
    # Debian's mirror may be away; what it would have said, the next run says.
    echo "warning: promtool could not be fetched: the alert rules were not run" >&2
fi

# An alert on a metric that was renamed would be silent for ever.
catalogue=$root/services/shared/telemetry/src/metrics/catalogue.rs
unknown=0
for metric in $(grep -o 'precis_[a-z_]*' "$rules/alerts.yml" | sort -u); do
    # A histogram's sum and count are metrics of their own.
    name=${metric%_sum}
    if ! grep -q "\"${name%_count}\"" "$catalogue"; then
        echo "alerts.yml names $metric, which is no metric of Précis" >&2
        unknown=1
    fi
done
exit "$unknown"

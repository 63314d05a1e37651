//! The NVIDIA devices of this machine, as the driver's own tool tells of them.

use std::process::{Command, Stdio};

/// Name and memory of each device; none where the tool is not there or has nothing to tell.
pub(super) fn found() -> Vec<String> {
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=name,memory.total", "--format=csv,noheader"])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => listed(&String::from_utf8_lossy(&output.stdout)),
        _ => Vec::new(),
    }
}

fn listed(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_line_is_a_device() {
        assert_eq!(super::listed("NVIDIA A10G, 23028 MiB\n\n"), ["NVIDIA A10G, 23028 MiB"]);
        assert!(super::listed("").is_empty());
    }
}

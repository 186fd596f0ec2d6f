//! Running a piece of the test itself in a namespace of the lab.
//!
//! Owns: entering, on a thread that ends there. Refuses to know: what is done inside. A socket stays in the namespace
//! in which it was opened, so the caller may go on using one that was opened inside.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::lab::Lab;
use super::node::Node;

/// Where `ip netns add` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";

impl Lab {
    /// Runs `work` in the network namespace of `node`, on a thread of its own, and returns what it returned.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `work` panicked.
    pub fn inside<T: Send>(&self, node: Node, work: impl FnOnce() -> T + Send) -> Result<T> {
        let path = Path::new(NAMESPACES).join(self.namespace(node));
        let namespace = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(&namespace, CloneFlags::CLONE_NEWNET)
                    .with_context(|| format!("cannot enter the namespace of {node}"))?;
                Ok(work())
            });
            thread.join().map_err(|_| anyhow!("what ran in the namespace of {node} panicked"))?
        })
    }
}

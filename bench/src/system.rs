//! What the kernel knows: CPU time, memory, cores, open files.

use std::{fs, time::Duration};

use anyhow::Context;
use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The CPU time that process `pid` has used, in user space and in the kernel.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = read_proc(pid, "stat")?;
    // The second field is the command in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/<pid>/stat")?;
    let ticks =
        fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let nanos = NANOS_PER_SECOND / clock_ticks_per_second().max(1);
    Ok(Duration::from_nanos(ticks.saturating_mul(nanos)))
}

/// The CPU time that the calling thread has used, to the nanosecond.
pub(crate) fn thread_cpu_time() -> anyhow::Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let stat = fs::read_to_string(path).context(path)?;
    let nanos = stat.split_ascii_whitespace().next().context(path)?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// The resident memory of process `pid`, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = read_proc(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("VmRSS")?.parse::<u64>()?.saturating_mul(1024))
}

/// Keeps the calling thread, and those that it starts, on one core. Call it before the runtime is
/// built.
pub(crate) fn pin_to(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("pin to core {core}"))
}

/// The first core that this process may use.
pub(crate) fn first_core() -> anyhow::Result<usize> {
    let set = sched_getaffinity(None::<Pid>)?;
    (0..CpuSet::MAX_CPU).find(|core| set.is_set(*core)).context("no core at all")
}

/// Allows as many open files as the hard limit does.
pub(crate) fn raise_open_files() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("raise RLIMIT_NOFILE")
}

/// A multi-threaded runtime with one worker per usable core.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let workers = std::thread::available_parallelism()?.get();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .context("build the runtime")
}

fn read_proc(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).context(path)
}

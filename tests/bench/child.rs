//! Runs a program and says what it took: wall time, CPU time and peak memory, from `/proc`.

use std::fs;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use weir_tests::world::Failure;

/// The unit of `/proc/PID/stat`: USER_HZ is 100 on every Linux.
const TICKS_PER_S: f64 = 100.0;
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(2);

/// What a program took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) wall_s: f64,
    /// User and system time of all its threads.
    pub(crate) cpu_s: f64,
    /// Most memory that was resident at a time, files that are mapped into it included.
    pub(crate) peak_mib: f64,
    pub(crate) stdout: String,
}

/// Runs a program to its end; an exit code that is not among `allowed` is a failure.
pub(crate) fn run(command: &mut Command, allowed: &[i32]) -> Result<Taken, Failure> {
    let cpu_before_s = waited_for_s()?;
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (status, peak_mib) = watched(&mut child)?;
    let wall_s = begin.elapsed().as_secs_f64();
    let output = child.wait_with_output()?;
    if !status.code().is_some_and(|code| allowed.contains(&code)) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{command:?} ended with {status}: {said}").into());
    }
    Ok(Taken {
        wall_s,
        cpu_s: waited_for_s()? - cpu_before_s,
        peak_mib,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

/// Waits for the end. The programs say little, so that their pipes do not fill up.
#[allow(clippy::disallowed_methods)] // no executor here
fn watched(child: &mut Child) -> Result<(ExitStatus, f64), Failure> {
    let path = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0.0_f64;
    loop {
        if let Ok(text) = fs::read_to_string(&path) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            peak_kib = peak_kib.max(kib.unwrap_or(0.0));
        }
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak_kib / 1_024.0));
        }
        sleep(LOOK);
    }
}

/// CPU time of all children that were waited for: the 16th and 17th field of `/proc/self/stat`.
fn waited_for_s() -> Result<f64, Failure> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = text.rsplit_once(')').ok_or("no stat")?;
    let ticks = rest.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_S)
}

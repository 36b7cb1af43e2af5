//! Envoy as a child process that does not outlive its parent.
//!
//! A keeper thread starts the child, watches it and kills it: when the [`Envoy`] is dropped, and (through `setpriv
//! --pdeathsig`, part of util-linux) also when this process dies without running any destructor. The signal is tied to
//! the thread that started the child, which is why it is a thread that lives exactly as long as the child. Where
//! `setpriv` is missing, the child stays in the terminal's process group so that Ctrl-C reaches it; only a `SIGKILL` of
//! this process then leaves it behind.
//!
//! Limits: Envoy has [`StartOptions::ready_timeout`] to become ready. Ports are picked by Envoy itself (port 0), so two
//! runs never race for one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Admin, AdminError};

const POLL: Duration = Duration::from_millis(20);
const LOG_TAIL_LINES: usize = 15;

/// Why Envoy does not run.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// A file of the run could not be written or read.
    #[error("cannot write {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: std::io::Error,
    },
    /// The binary does not start.
    #[error("cannot start {binary}: {source}\n  hint: run `make setup`", binary = binary.display())]
    Spawn {
        /// The binary.
        binary: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It started and ended before it was ready.
    #[error("envoy ended before it was ready ({status}); the end of its log:\n{log}")]
    Ended {
        /// Exit status.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// It runs but is not ready in time.
    #[error("envoy was not ready after {seconds} s; the end of its log:\n{log}")]
    NotReady {
        /// How long it had.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// It refused the configuration.
    #[error("envoy refuses the configuration:\n{log}")]
    Invalid {
        /// The last lines of its log.
        log: String,
    },
    /// It does not answer.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// What to run and where.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// The Envoy binary, see [`crate::find_envoy`].
    pub binary: PathBuf,
    /// The bootstrap, see [`crate::Bootstrap::render`].
    pub bootstrap: String,
    /// An existing folder for the bootstrap, the log and the admin address of this run.
    pub folder: PathBuf,
    /// Worker threads.
    pub concurrency: u32,
    /// `trace` to `off`; the log goes to `envoy.log` in the folder.
    pub log_level: String,
    /// How long Envoy may take to be ready.
    pub ready_timeout: Duration,
}

impl StartOptions {
    /// Two workers, warnings only, 20 s to be ready.
    #[must_use]
    pub fn new(binary: PathBuf, bootstrap: String, folder: PathBuf) -> Self {
        Self {
            binary,
            bootstrap,
            folder,
            concurrency: 2,
            log_level: "warning".to_owned(),
            ready_timeout: Duration::from_secs(20),
        }
    }
}

/// A running Envoy. Dropping it kills the process and waits for its end.
#[derive(Debug)]
pub struct Envoy {
    keeper: Keeper,
    admin: Admin,
    listeners: BTreeMap<String, SocketAddr>,
    log: PathBuf,
}

impl Envoy {
    /// Starts Envoy and waits until it is ready.
    ///
    /// # Errors
    /// When a file cannot be written, the binary does not start, or Envoy ends or is not ready in time; the end of
    /// Envoy's log is part of the error. No process is left behind.
    pub async fn start(options: StartOptions) -> Result<Self, EnvoyError> {
        let log = options.folder.join("envoy.log");
        let admin_file = options.folder.join("admin.address");
        // An address of an earlier run in the same folder would be believed.
        let _ = fs::remove_file(&admin_file);
        let config = written_config(&options.folder, &options.bootstrap)?;
        let mut arguments = common_arguments(&config, &options.log_level);
        arguments.extend(["--admin-address-path".to_owned(), admin_file.display().to_string()]);
        arguments.extend(["--concurrency".to_owned(), options.concurrency.to_string()]);
        let keeper = Keeper::start(&options.binary, arguments, &log)?;
        let deadline = Instant::now() + options.ready_timeout;
        let late = || EnvoyError::NotReady { seconds: options.ready_timeout.as_secs(), log: log_tail(&log) };
        loop {
            if let Some(status) = keeper.exit_status() {
                return Err(EnvoyError::Ended { status: status.to_string(), log: log_tail(&log) });
            }
            if let Some(admin) = admin_address(&admin_file).map(Admin::new)
                && admin.ready().await
            {
                let listeners = admin.listeners().await?;
                return Ok(Self { keeper, admin, listeners, log });
            }
            if Instant::now() > deadline {
                return Err(late());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The admin interface.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Where a listener of the bootstrap listens; Weir's own is called `weir`.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.get(name).copied()
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.keeper.pid
    }

    /// The file that Envoy logs to.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines of Envoy's log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    /// Whether the process is still there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.keeper.exit_status().is_none()
    }
}

/// Runs `envoy --mode validate` on a bootstrap; with a statically configured module this runs its real `on_configure`.
///
/// # Errors
/// [`EnvoyError::Invalid`] with Envoy's reason, or that it could not run.
pub fn validate(binary: &Path, bootstrap: &str, folder: &Path) -> Result<(), EnvoyError> {
    let config = written_config(folder, bootstrap)?;
    let mut arguments = common_arguments(&config, "warning");
    arguments.extend(["--mode".to_owned(), "validate".to_owned()]);
    let output = Command::new(binary).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| EnvoyError::Spawn { binary: binary.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let mut log = String::from_utf8_lossy(&output.stderr).into_owned();
    log.push_str(&String::from_utf8_lossy(&output.stdout));
    Err(EnvoyError::Invalid { log: tail(&log) })
}

/// The thread that owns the child.
#[derive(Debug)]
struct Keeper {
    pid: u32,
    exit: Arc<Mutex<Option<ExitStatus>>>,
    // Dropping the sender tells the thread to kill the child.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    fn start(binary: &Path, arguments: Vec<String>, log: &Path) -> Result<Self, EnvoyError> {
        let log_error = |source| EnvoyError::File { path: log.to_owned(), source };
        let log_file = File::create(log).map_err(log_error)?;
        let log_copy = log_file.try_clone().map_err(log_error)?;
        let mut command = command(binary);
        command.args(arguments).stdin(Stdio::null()).stdout(log_file).stderr(log_copy);
        let exit = Arc::new(Mutex::new(None));
        let (stop, stopped) = mpsc::channel::<()>();
        let (started, start) = mpsc::channel();
        let exit_of_child = Arc::clone(&exit);
        let keep = move || match command.spawn() {
            Err(error) => drop(started.send(Err(error))),
            Ok(child) => {
                drop(started.send(Ok(child.id())));
                keep(child, &stopped, &exit_of_child);
            }
        };
        let spawn_error = |source| EnvoyError::Spawn { binary: binary.to_owned(), source };
        let thread = std::thread::Builder::new().name("envoy-keeper".to_owned()).spawn(keep);
        let thread = thread.map_err(spawn_error)?;
        let gone = || std::io::Error::other("the keeper thread ended");
        let pid = start.recv().unwrap_or_else(|_| Err(gone())).map_err(spawn_error)?;
        Ok(Self { pid, exit, stop: Some(stop), thread: Some(thread) })
    }

    fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread would already have dropped the child's handle; there is nothing left to do.
            let _ = thread.join();
        }
    }
}

fn keep(mut child: Child, stopped: &mpsc::Receiver<()>, exit: &Mutex<Option<ExitStatus>>) {
    while stopped.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
        if let Ok(Some(status)) = child.try_wait() {
            *exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            return;
        }
    }
    // It may have ended by itself in this moment, which is as good.
    let _ = child.kill();
    let _ = child.wait();
}

fn command(binary: &Path) -> Command {
    let on_path = |folder: PathBuf| Some(folder.join("setpriv")).filter(|file| file.is_file());
    let setpriv = std::env::var_os("PATH").and_then(|path| std::env::split_paths(&path).find_map(on_path));
    match setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            // Its own group: Ctrl-C then stops the parent, which stops Envoy when it is done with it.
            command.args(["--pdeathsig", "KILL", "--"]).arg(binary).process_group(0);
            command
        }
        None => Command::new(binary),
    }
}

fn common_arguments(config: &Path, log_level: &str) -> Vec<String> {
    let config = config.display().to_string();
    // Hot restart uses shared memory that two Envoys of one machine would fight for.
    ["--config-path", &config, "--log-level", log_level, "--disable-hot-restart"].map(str::to_owned).to_vec()
}

fn written_config(folder: &Path, bootstrap: &str) -> Result<PathBuf, EnvoyError> {
    let path = folder.join("bootstrap.yaml");
    fs::write(&path, bootstrap).map_err(|source| EnvoyError::File { path: path.clone(), source })?;
    Ok(path)
}

/// Envoy writes the file in one go, but maybe not before we read it: an unparsable address is "not yet".
fn admin_address(file: &Path) -> Option<SocketAddr> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn log_tail(path: &Path) -> String {
    tail(&String::from_utf8_lossy(&fs::read(path).unwrap_or_default()))
}

fn tail(text: &str) -> String {
    let lines = text.lines().collect::<Vec<_>>();
    let first = lines.len().saturating_sub(LOG_TAIL_LINES);
    lines.get(first..).unwrap_or_default().join("\n")
}

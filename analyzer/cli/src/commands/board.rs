//! What `weir watch` shows: the timeline on standard error, and on a terminal below it where the rollout stands, redrawn
//! with every event and every second.
//!
//! In a pipe there are plain lines only, and a look that says the same as the one before is not repeated.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use weir_controller::{Event, Rollout, What};
use weir_report::{Screen, live_lines};

use crate::commands::standing::Standing;
use crate::output;

/// Time between two drawings where nothing happens: ages and forecasts go on.
const REDRAW_EVERY: Duration = Duration::from_secs(1);

/// The view of a rollout.
pub(crate) struct Board {
    screen: Arc<Screen>,
    standing: Arc<Mutex<Standing>>,
    /// What was printed of the last look.
    look: String,
    ticking: Option<tokio::task::JoinHandle<()>>,
}

impl Board {
    /// A view of a rollout that has not begun; so many proxies must confirm.
    pub(crate) fn new(rollout: &Rollout, proxies: usize) -> Self {
        let screen = Arc::new(Screen::new());
        let standing = Arc::new(Mutex::new(Standing::new(rollout, proxies)));
        let ticking = screen.is_live().then(|| {
            let (screen, standing) = (Arc::clone(&screen), Arc::clone(&standing));
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(REDRAW_EVERY).await;
                    draw(&screen, &standing);
                }
            })
        });
        Self { screen, standing, look: String::new(), ticking }
    }

    /// Takes an event in: a line of the timeline, or a new drawing. `newest_us` is when the newest sample was asked for.
    pub(crate) fn tell(&mut self, event: &Event, newest_us: Option<i64>) {
        let text = event.what.to_string();
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).take(event, newest_us);
        let looked = matches!(event.what, What::Looked { .. });
        let repeated = looked && self.look == text;
        // On a terminal the drawing says what each look says.
        let drawn = looked && self.screen.is_live();
        if !repeated && !drawn {
            let at = event.at.round(jiff::Unit::Second).unwrap_or(event.at);
            self.screen.say(&format!("{at}  {:<18} {text}", event.what.kind()));
        }
        if looked {
            self.look = text;
        }
        draw(&self.screen, &self.standing);
    }

    /// Takes the drawing away, so that what follows stands alone.
    pub(crate) fn end(&mut self) {
        if let Some(ticking) = self.ticking.take() {
            ticking.abort();
        }
        // The last drawing is over when the lock is there.
        let _over = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        self.screen.clear();
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.end();
    }
}

fn draw(screen: &Screen, standing: &Mutex<Standing>) {
    if !screen.is_live() {
        return;
    }
    let (width, height) = output::size();
    let standing = standing.lock().unwrap_or_else(PoisonError::into_inner);
    screen.show(live_lines(&standing.view(Timestamp::now()), width, height, screen.colour()));
}

//! Several applications with the tag of one run, which is never our doing: one stays.
//!
//! The rule: the application with the smallest id stays, by the time of its ResourceManager and then by its
//! number. A run's id is committed before anybody else can know its tag, so a copy was given a later one. The
//! others are killed, where they carry this installation's tag as well as the run's.

use std::collections::BTreeMap;

use streampark_core::cluster::Observation;
use streampark_core::job::RunKey;

use super::cluster::YarnCluster;
use super::observe::run_of;
use crate::wire::App;

/// What orders applications by their ids.
pub(super) fn age(id: &str) -> (u64, u64) {
    let mut numbers = id.split('_').skip(1).map(|number| number.parse().unwrap_or(u64::MAX));
    (numbers.next().unwrap_or(u64::MAX), numbers.next().unwrap_or(u64::MAX))
}

/// The applications of runs, and the live copies beside them with the id of the one that stays.
fn part(apps: Vec<App>) -> (Vec<App>, Vec<(String, App)>) {
    let mut stays: BTreeMap<RunKey, String> = BTreeMap::new();
    for app in &apps {
        let Some(key) = run_of(app) else { continue };
        let kept = stays.entry(key).or_insert_with(|| app.id.clone());
        if age(&app.id) < age(kept) {
            *kept = app.id.clone();
        }
    }
    let (mut kept, mut copies) = (Vec::new(), Vec::new());
    for app in apps {
        match run_of(&app).and_then(|key| stays.get(&key)) {
            Some(stays) if *stays != app.id && !app.state.is_over() => copies.push((stays.clone(), app)),
            Some(stays) if *stays != app.id => {}
            _ => kept.push(app),
        }
    }
    (kept, copies)
}

impl YarnCluster {
    /// Kills copies, and gives the applications that stay: what a copy does is not told of the run.
    pub(super) async fn without_copies(&self, apps: Vec<App>) -> Vec<App> {
        let inner = &self.inner;
        let (kept, copies) = part(apps);
        for (stays, copy) in copies.into_iter().filter(|(_, app)| app.has_tag(&inner.yarn.options.tag)) {
            let reason = format!("ended by StreamPark: a copy of {stays}, which is the same run");
            tracing::warn!(copy = copy.id, stays, "a second application of a run is killed");
            match inner.yarn.rm.kill(&copy.id, &reason).await {
                Ok(_) => inner.memory.ended_copy(&stays, &copy.id),
                // The next look tries again.
                Err(error) => tracing::warn!(copy = copy.id, error = %error.chain(), "a copy could not be killed"),
            }
        }
        kept
    }

    /// Adds the copies that were ended to the runs that stay.
    pub(super) fn tell_copies(&self, seen: &mut [Observation]) {
        for seen in seen {
            if let Some(id) = &seen.deployment {
                seen.copies = self.inner.memory.copies_of(id.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use streampark_core::job::JobId;

    use super::*;
    use crate::wire::AppState;

    #[test]
    fn the_smallest_id_stays_and_only_live_ones_are_copies() {
        let (one, two) = (RunKey::new(JobId::generate(), 1), RunKey::new(JobId::generate(), 1));
        let app = |id: &str, key: RunKey, state| App {
            id: id.to_owned(),
            state,
            application_tags: format!("streampark,{}", key.tag()),
            ..App::default()
        };
        // By text, 10000 would come before 9999.
        let apps = vec![
            app("application_5_10000", one, AppState::Running),
            app("application_5_9999", one, AppState::Running),
            app("application_7_0001", one, AppState::Accepted),
            app("application_7_0002", one, AppState::Killed),
            app("application_5_0003", two, AppState::Failed),
            app("application_5_0004", two, AppState::Running),
        ];
        let (kept, copies) = part(apps);
        let kept: Vec<&str> = kept.iter().map(|app| app.id.as_str()).collect();
        assert_eq!(kept, ["application_5_9999", "application_5_0003"]);
        let copies: Vec<(&str, &str)> = copies.iter().map(|(stays, app)| (stays.as_str(), app.id.as_str())).collect();
        // An end of the one that stays does not make room for a copy.
        let expected = [
            ("application_5_9999", "application_5_10000"),
            ("application_5_9999", "application_7_0001"),
            ("application_5_0003", "application_5_0004"),
        ];
        assert_eq!(copies, expected);
    }
}

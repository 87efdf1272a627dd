//! Maintenance: flush the head into parts, merge small parts, apply retention, erase. One at a time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::{StoreError, Warning};
use crate::files::{create_dir, remove_unreferenced, write_atomic};
use crate::head::Head;
use crate::manifest::{Manifest, PartInfo, registry_path};
use crate::merge::{self, RewriteError};
use crate::options::WriteKind;
use crate::part::{Part, PartWriter};
use crate::query::{ScanLine, ScanPlan};
use crate::store::{LogStore, Sealed, Shared};
use crate::wal::{segment_path, segments};

/// What maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaintainReport {
    /// New parts from the head.
    pub sealed: Vec<PartInfo>,
    /// New parts from merges, with the parts they replace.
    pub merged: Vec<(PartInfo, Vec<PartInfo>)>,
    /// Parts removed by retention.
    pub expired: Vec<PartInfo>,
    /// Parts found damaged.
    pub quarantined: Vec<Warning>,
}

/// What an erasure did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EraseReport {
    /// Lines erased.
    pub erased: u64,
    /// Parts replaced: the old one, and the new one unless nothing was left.
    pub replaced: Vec<(PartInfo, Option<PartInfo>)>,
    /// Parts that could not be rewritten.
    pub quarantined: Vec<Warning>,
}

/// How often the maintenance thread looks around when nobody wakes it.
const TICK: Duration = Duration::from_secs(1);

/// Wakes and stops the maintenance thread.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
    /// Held by the thread while it holds the store.
    busy: Mutex<()>,
}

impl Signal {
    pub(crate) fn wake(&self) {
        self.state.lock().0 = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().1 = true;
        self.changed.notify_all();
    }

    /// False when it is time to stop.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        if !state.0 && !state.1 {
            self.changed.wait_for(&mut state, TICK);
        }
        state.0 = false;
        !state.1
    }
}

pub(crate) fn spawn(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let (weak, signal): (Weak<Shared>, _) = (Arc::downgrade(shared), Arc::clone(&shared.signal));
    let body = move || {
        while signal.wait() {
            let busy = signal.busy.lock();
            let Some(shared) = weak.upgrade() else { return };
            let done = (LogStore { shared }).maintain();
            drop(busy);
            if let Err(error) = done {
                tracing::error!(%error, "log store maintenance failed; it will be tried again");
                std::thread::sleep(TICK);
            }
        }
    };
    let spawned = std::thread::Builder::new().name("lem-logs".to_owned()).spawn(body);
    spawned.map(|_| ()).map_err(StoreError::io("start the maintenance thread of", &shared.dir))
}

impl LogStore {
    /// Gives this handle back after running maintenance has finished. If it was the last one, the directory is free to
    /// be opened again. Nothing needs flushing: what was acknowledged is in the write-ahead log.
    pub fn close(self) {
        let signal = Arc::clone(&self.shared.signal);
        let busy = signal.busy.lock();
        drop(self);
        drop(busy);
    }

    /// Flushes if the head is full or old, merges, applies retention.
    pub fn maintain(&self) -> Result<MaintainReport, StoreError> {
        let mut report = MaintainReport::default();
        if self.flush_is_due() {
            report.sealed = self.flush()?;
        }
        let mut manifest = self.shared.manifest.lock();
        while let Some(done) = self.merge_once(&mut manifest, &mut report.quarantined)? {
            report.merged.push(done);
        }
        report.expired = self.retain(&mut manifest)?;
        Ok(report)
    }

    fn flush_is_due(&self) -> bool {
        let options = &self.shared.options;
        let state = self.shared.state.read();
        let age = state.active.since_ns.map_or(0, |since| (options.clock)().saturating_sub(since));
        let pressed = self.shared.memory.load(Ordering::Acquire) > options.memory_budget_bytes / 2;
        state.sealed.is_some()
            || state.active.bytes >= options.flush_bytes
            || pressed && state.active.rows > 0
            || age as u128 >= options.flush_age.as_nanos() && state.active.rows > 0
    }

    /// Writes the head into parts, whatever its size.
    pub fn flush(&self) -> Result<Vec<PartInfo>, StoreError> {
        let mut manifest = self.shared.manifest.lock();
        let mut done = Vec::new();
        // What an earlier flush could not finish goes first.
        while self.seal()? {
            done.append(&mut self.flush_sealed(&mut manifest)?);
        }
        Ok(done)
    }

    /// Moves the head aside, unless one is already waiting. False if there is nothing to flush.
    fn seal(&self) -> Result<bool, StoreError> {
        let shared = &self.shared;
        if shared.state.read().sealed.is_some() {
            return Ok(true);
        }
        let mut wal = shared.wal.lock();
        if shared.state.read().active.rows == 0 {
            return Ok(false);
        }
        let wal_upto = wal.rotate().map_err(StoreError::io("rotate the write-ahead log of", &shared.dir))?;
        let registry = Arc::new(shared.miner.lock().registry.save());
        let mut state = shared.state.write();
        let head = Arc::new(std::mem::take(&mut state.active));
        state.sealed = Some(Sealed { head, wal_upto, registry });
        Ok(true)
    }

    fn flush_sealed(&self, manifest: &mut MutexGuard<'_, Manifest>) -> Result<Vec<PartInfo>, StoreError> {
        let shared = &self.shared;
        let Some((head, wal_upto, registry)) = ({
            let state = shared.state.read();
            state.sealed.as_ref().map(|s| (Arc::clone(&s.head), s.wal_upto, Arc::clone(&s.registry)))
        }) else {
            return Ok(Vec::new());
        };
        let infos = self.write_head(&head, manifest.next_part)?;
        let mut next = manifest.clone();
        next.next_part += infos.len() as u64;
        next.wal_from = wal_upto + 1;
        next.registry = wal_upto;
        next.parts.extend(infos.iter().cloned());
        let disk = shared.options.disk.as_ref();
        write_atomic(&registry_path(&shared.dir, next.registry), &registry, WriteKind::Manifest, disk)?;
        next.save(&shared.dir, disk)?;
        let old_registry = std::mem::replace(&mut **manifest, next).registry;
        {
            let mut state = shared.state.write();
            state.parts.extend(infos.iter().map(|info| Arc::new(Part::open(&shared.dir, info.clone()))));
            state.sealed = None;
        }
        shared.memory.fetch_sub(head.bytes, Ordering::AcqRel);
        if old_registry != 0 && old_registry != wal_upto {
            remove_unreferenced(&registry_path(&shared.dir, old_registry));
        }
        let wal_dir = shared.dir.join("wal");
        for segment in segments(&wal_dir)?.into_iter().filter(|s| *s <= wal_upto) {
            remove_unreferenced(&segment_path(&wal_dir, segment));
        }
        Ok(infos)
    }

    fn write_head(&self, head: &Head, first_id: u64) -> Result<Vec<PartInfo>, StoreError> {
        let mut infos = Vec::new();
        for (day, streams) in head.by_day() {
            let id = first_id + infos.len() as u64;
            let mut writer = self.new_part(id, day)?;
            for (key, rows) in streams {
                for row in rows {
                    writer.row(&key, row)?;
                }
            }
            infos.extend(writer.finish(id, id, day)?);
        }
        Ok(infos)
    }

    fn new_part(&self, id: u64, day: i64) -> Result<PartWriter, StoreError> {
        let path = self.shared.dir.join("parts").join(crate::manifest::day_name(day)).join(format!("{id:012}.part"));
        if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
            create_dir(dir)?;
        }
        PartWriter::create(&path, Arc::clone(&self.shared.options.disk))
    }

    fn merge_once(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        quarantined: &mut Vec<Warning>,
    ) -> Result<Option<(PartInfo, Vec<PartInfo>)>, StoreError> {
        loop {
            self.note_damage(manifest, quarantined)?;
            let Some(plan) = merge::plan_merge(&manifest.parts) else { return Ok(None) };
            let parts = self.parts(&plan);
            match self.rewrite(manifest, &parts, &|_, _| true) {
                Ok((_, Some(info))) => return Ok(Some((info, parts.iter().map(|p| p.info.clone()).collect()))),
                Ok((_, None)) => return Ok(None),
                Err(RewriteError::Store(error)) => return Err(error),
                Err(RewriteError::Damaged(id, why)) => {
                    parts.iter().filter(|p| p.info.id == id).for_each(|p| p.quarantine(&why));
                }
            }
        }
    }

    /// Writes newly found damage into the manifest, so that it is known after a restart.
    fn note_damage(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        quarantined: &mut Vec<Warning>,
    ) -> Result<(), StoreError> {
        let damaged: Vec<_> = self.shared.state.read().parts.iter().filter(|p| p.damage().is_some()).cloned().collect();
        let mut next = manifest.clone();
        for part in damaged {
            let known = next.parts.iter_mut().find(|info| info.id == part.info.id && info.quarantined.is_none());
            if let Some(info) = known {
                info.quarantined = part.damage().map(ToOwned::to_owned);
                quarantined.extend(part.warning());
            }
        }
        if next != **manifest {
            next.save(&self.shared.dir, self.shared.options.disk.as_ref())?;
            **manifest = next;
        }
        Ok(())
    }

    /// Parts by id, in order.
    fn parts(&self, ids: &[u64]) -> Vec<Arc<Part>> {
        let mut parts: Vec<_> =
            self.shared.state.read().parts.iter().filter(|p| ids.contains(&p.info.id)).cloned().collect();
        parts.sort_by_key(|p| p.info.order);
        parts
    }

    /// Replaces parts of one day by one with the rows that are kept.
    fn rewrite(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        parts: &[Arc<Part>],
        keep: &dyn Fn(&crate::record::StreamKey, &crate::head::Entry) -> bool,
    ) -> Result<(u64, Option<PartInfo>), RewriteError> {
        let Some(first) = parts.first() else { return Ok((0, None)) };
        let (id, day, order) = (manifest.next_part, first.info.day, first.info.order);
        let mut writer = self.new_part(id, day)?;
        let dropped = merge::rewrite(parts, &mut writer, keep)?;
        let info = writer.finish(id, order, day)?;
        let mut next = manifest.clone();
        next.next_part += 1;
        next.parts.retain(|p| parts.iter().all(|old| old.info.id != p.id));
        next.parts.extend(info.clone());
        self.replace(manifest, next, info.as_ref())?;
        Ok((dropped, info))
    }

    /// Makes a new manifest true: on disk, then in memory, then the files it no longer names go.
    fn replace(
        &self,
        manifest: &mut MutexGuard<'_, Manifest>,
        next: Manifest,
        added: Option<&PartInfo>,
    ) -> Result<(), StoreError> {
        next.save(&self.shared.dir, self.shared.options.disk.as_ref())?;
        let old = std::mem::replace(&mut **manifest, next);
        let live = |id: u64| manifest.parts.iter().any(|p| p.id == id);
        let mut state = self.shared.state.write();
        state.parts.retain(|p| live(p.info.id));
        state.parts.extend(added.map(|info| Arc::new(Part::open(&self.shared.dir, info.clone()))));
        drop(state);
        for gone in old.parts.iter().filter(|p| !live(p.id)) {
            remove_unreferenced(&self.shared.dir.join(gone.file()));
        }
        Ok(())
    }

    fn retain(&self, manifest: &mut MutexGuard<'_, Manifest>) -> Result<Vec<PartInfo>, StoreError> {
        let edge = self.shared.retention_edge();
        let remove = merge::plan_retention(&manifest.parts, edge, self.shared.options.retention_bytes);
        if remove.is_empty() {
            return Ok(Vec::new());
        }
        let mut next = manifest.clone();
        let (gone, kept) = next.parts.into_iter().partition(|p| remove.contains(&p.id));
        next.parts = kept;
        self.replace(manifest, next, None)?;
        Ok(gone)
    }

    /// Removes every line the plan finds, from memory and parts, by rewriting the parts that hold one. The old files are
    /// gone when this returns.
    pub fn erase(&self, plan: &ScanPlan) -> Result<EraseReport, StoreError> {
        self.flush()?;
        let mut report = EraseReport::default();
        let mut manifest = self.shared.manifest.lock();
        let ids: Vec<u64> = manifest.parts.iter().map(|p| p.id).collect();
        let doomed = |key: &crate::record::StreamKey, entry: &crate::head::Entry| {
            plan.wants_stream(key)
                && plan.wants_time(entry.ts_ns)
                && plan.wants_text(&entry.line)
                && plan.wants_rest(&ScanLine::of(&Arc::new(key.clone()), entry))
        };
        for part in self.parts(&ids) {
            let touched =
                part.overlaps(plan.start_ns, plan.end_ns) && part.streams.iter().any(|key| plan.wants_stream(key));
            if part.damage().is_some() {
                report.quarantined.extend(part.warning().filter(|_| part.overlaps(plan.start_ns, plan.end_ns)));
                continue;
            }
            if !touched {
                continue;
            }
            match has_row(&part, &doomed) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    part.quarantine(&why);
                    report.quarantined.extend(part.warning());
                    continue;
                }
            }
            match self.rewrite(&mut manifest, &[Arc::clone(&part)], &|key, entry| !doomed(key, entry)) {
                Ok((erased, info)) => {
                    report.erased += erased;
                    report.replaced.push((part.info.clone(), info));
                }
                Err(RewriteError::Store(error)) => return Err(error),
                Err(RewriteError::Damaged(_, why)) => {
                    part.quarantine(&why);
                    report.quarantined.extend(part.warning());
                }
            }
        }
        Ok(report)
    }
}

fn has_row(
    part: &Part,
    wanted: &dyn Fn(&crate::record::StreamKey, &crate::head::Entry) -> bool,
) -> Result<bool, crate::codec::Malformed> {
    for block in &part.blocks {
        let key = part.key(block);
        if part.rows(block)?.iter().any(|row| wanted(key, row)) {
            return Ok(true);
        }
    }
    Ok(false)
}

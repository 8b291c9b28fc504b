//! The fold of a frontier: its heads merged in order, each against its best common ancestors with those
//! before it; several ancestors are folded by the same rule, and have no value where they disagree.
//!
//! `vault.toml` is merged first, as text and by itself, and says by which rules the rest is merged. For
//! the rest it does not exist, so that a rename can neither hide nor make it.
//!
//! Bases of bases are computed from the bottom up and not by recursion, so that a history of many
//! criss-crosses costs time, never the stack.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::ancestry::History;
use super::conflict::{BaseValue, Conflict, ConflictKind, Made, Side};
use super::engine::TEXT_BYTES_MAX;
use super::path::{Lookup, RawPath, add_covering, covers_some, with_edits, with_entry};
use super::rules::{RULE_VERSION, RULES_FILE, RuleBook, Rules};
use super::tree::{Found, Partial, Purpose, merge, new_objects};
use super::veil::{Veil, stands_for_purged};
use super::{Result, seal};
use crate::object::{CommitId, Entry, Kind, Overlay, Source, Tree, TreeId, VaultPath};

/// The part of each tree that a fold looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum View {
    /// Only `vault.toml`.
    Rules,
    /// All but `vault.toml`.
    Rest,
}

/// The rules by which a fold merges, and what they were read from.
#[derive(Clone)]
struct InForce {
    view: View,
    rules: Rules,
    file: Option<Entry>,
}

type BaseKey = (View, Option<Entry>, Vec<CommitId>);

/// Folds over one history; keeps what it has computed.
pub(super) struct Workshop<'s> {
    pub history: History<'s>,
    pub objects: Overlay<Veil<'s>>,
    book: &'s dyn RuleBook,
    bases: RefCell<HashMap<BaseKey, Rc<Partial>>>,
    views: RefCell<HashMap<(View, CommitId), TreeId>>,
}

/// What came of folding a frontier.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    /// The tree; paths in conflict are missing from it. None if there are no rules to merge by.
    pub tree: Option<TreeId>,
    /// What is in conflict; nothing if the fold is clean.
    pub conflicts: Vec<Conflict>,
    /// The version of the merge rule in force.
    pub version: u32,
    /// The rules that the tree was merged by; none if there is no tree.
    pub rules: Option<Rules>,
}

impl Folded {
    /// Tells whether the program does not know the rule that the vault asks for.
    pub(super) fn is_unknown_rule(&self) -> bool {
        self.version != RULE_VERSION
    }
}

/// A conflict with the index of the head that brought it.
struct FoundAt {
    step: usize,
    found: Found,
}

/// What a pass over the heads found out: either the merged tree, or paths that must be set aside from
/// the beginning because a conflict there covers an earlier one.
enum Pass {
    Done(Partial, Vec<FoundAt>),
    Again(BTreeSet<RawPath>),
}

impl<'s> Workshop<'s> {
    pub(super) fn new(source: &'s dyn Source, book: &'s dyn RuleBook) -> Workshop<'s> {
        Workshop {
            history: History::new(source),
            objects: Overlay::new(Veil::new(source, book.purges())),
            book,
            bases: RefCell::default(),
            views: RefCell::default(),
        }
    }

    /// Folds a frontier, sorted by (stamp, id).
    pub(super) fn fold(&self, frontier: &[CommitId]) -> Result<Folded> {
        self.fold_with(frontier, |_| None)
    }

    /// Folds a frontier; `choice` may say what stands at `vault.toml` if that is in conflict.
    pub(super) fn fold_with(
        &self,
        frontier: &[CommitId],
        choice: impl FnOnce(&Conflict) -> Option<Option<Entry>>,
    ) -> Result<Folded> {
        if self.objects.below().look_from(frontier) {
            self.bases.borrow_mut().clear();
        }
        let only =
            |conflict| Folded { tree: None, conflicts: vec![conflict], version: RULE_VERSION, rules: None };
        let (file, rules, mut conflicts) = match self.fold_valid_rules(frontier)? {
            Ok(file) => (file, self.rules_by(file, frontier)?, Vec::new()),
            Err(mut conflict) => {
                let Some(file) = choice(&conflict) else { return Ok(only(conflict)) };
                match self.read_rules(file)? {
                    Ok(rules) => (file, rules, vec![conflict]),
                    Err(reason) => {
                        conflict.reason = Some(reason);
                        return Ok(only(conflict));
                    }
                }
            }
        };
        let version = rules.version;
        if version != RULE_VERSION {
            return Ok(Folded { tree: None, conflicts, version, rules: None });
        }
        let in_force = InForce { view: View::Rest, rules: rules.clone(), file };
        let (rest, found) = self.fold_view(&in_force, frontier)?;
        conflicts.extend(found);
        let mut parents = Vec::new();
        for id in frontier {
            parents.push(self.tree_of(*id, View::Rest)?);
        }
        let sealed = seal::sealed(&self.objects, &in_force.rules, rest.tree, &parents)?;
        let tree = with_entry(&self.objects, sealed, RULES_FILE.as_bytes(), file)?;
        Ok(Folded { tree: Some(tree), conflicts, version, rules: Some(rules) })
    }

    /// Merges `vault.toml` alone, as text.
    fn fold_rules(&self, frontier: &[CommitId]) -> Result<std::result::Result<Option<Entry>, Conflict>> {
        let in_force = InForce { view: View::Rules, rules: Rules::text_only(), file: None };
        let (partial, mut found) = self.fold_view(&in_force, frontier)?;
        Ok(match found.pop() {
            Some(conflict) => Err(conflict),
            None => Ok(Lookup::new(&self.objects).entry(partial.tree, RULES_FILE.as_bytes())?),
        })
    }

    fn read_rules(&self, file: Option<Entry>) -> Result<std::result::Result<Rules, String>> {
        let Some(entry) = file else { return Ok(self.book.parse(None)) };
        if !entry.is_file() {
            return Ok(Err(format!("{RULES_FILE} is no regular file")));
        }
        if self.objects.try_info(entry.id)?.is_some_and(|(_, length)| length > TEXT_BYTES_MAX) {
            return Ok(Err(format!("{RULES_FILE} is too long")));
        }
        let file = self.objects.find(entry.id, Kind::Blob)?;
        Ok(self.book.parse(Some(&*file.data).filter(|bytes| !stands_for_purged(entry.id, bytes))))
    }

    /// Merges `vault.toml`; where versions contradict each other, those that are no valid rules have no say.
    fn fold_valid_rules(
        &self,
        frontier: &[CommitId],
    ) -> Result<std::result::Result<Option<Entry>, Conflict>> {
        let conflict = match self.fold_rules(frontier)? {
            Ok(file) => return Ok(Ok(file)),
            Err(conflict) => conflict,
        };
        let mut valid = Vec::new();
        for id in frontier {
            if self.read_rules(self.rules_file(*id)?)?.is_ok() {
                valid.push(*id);
            }
        }
        match valid.as_slice() {
            all if all.len() == frontier.len() => Ok(Err(conflict)),
            [] => Ok(Ok(frontier.last().map_or(Ok(None), |newest| self.rules_file(*newest))?)),
            valid => self.fold_rules(valid),
        }
    }

    /// Returns the rules to merge by where `file` stands at `vault.toml`: its own, or, if it is no valid set of
    /// rules, those of the newest commit whose version is. A file that nobody can read holds nobody's work.
    fn rules_by(&self, file: Option<Entry>, frontier: &[CommitId]) -> Result<Rules> {
        if let Ok(rules) = self.read_rules(file)? {
            return Ok(rules);
        }
        let mut invalid = HashSet::from([file]);
        let mut todo = BTreeSet::new();
        for id in frontier {
            todo.insert((self.history.commit(*id)?.lamport, *id));
        }
        // A stamp exceeds those of all ancestors, so that none is met twice.
        while let Some((_, id)) = todo.pop_last() {
            let file = self.rules_file(id)?;
            if !invalid.contains(&file) {
                match self.read_rules(file)? {
                    Ok(rules) => return Ok(rules),
                    Err(_) => invalid.insert(file),
                };
            }
            for parent in &self.history.commit(id)?.parents {
                todo.insert((self.history.commit(*parent)?.lamport, *parent));
            }
        }
        Ok(self.book.parse(None).unwrap_or_else(|_| Rules::text_only()))
    }

    /// Returns the version of the merge rule that the vault asks for over a frontier.
    pub(super) fn version_over(&self, frontier: &[CommitId]) -> Result<u32> {
        match self.fold_valid_rules(frontier)? {
            Ok(file) => Ok(self.rules_by(file, frontier)?.version),
            Err(_) => Ok(RULE_VERSION),
        }
    }

    /// Returns what a commit has at `vault.toml`.
    fn rules_file(&self, id: CommitId) -> Result<Option<Entry>> {
        Ok(Lookup::new(&self.objects).entry(self.history.commit(id)?.tree, RULES_FILE.as_bytes())?)
    }

    fn side(&self, commit: CommitId, entry: Option<Entry>) -> Result<Side> {
        Ok(Side { commit, device: self.history.commit(commit)?.device.clone(), entry })
    }

    /// Returns the part of a commit's tree that `view` shows.
    fn tree_of(&self, id: CommitId, view: View) -> Result<TreeId> {
        if let Some(tree) = self.views.borrow().get(&(view, id)) {
            return Ok(*tree);
        }
        let root = self.history.commit(id)?.tree;
        let path = RULES_FILE.as_bytes();
        let shown = match view {
            View::Rest => with_entry(&self.objects, root, path, None)?,
            View::Rules => match self.objects.find_tree(root)?.find(path) {
                None => TreeId::empty(),
                Some(entry) => self.objects.put_tree(&Tree::from_entries([entry.clone()])),
            },
        };
        self.views.borrow_mut().insert((view, id), shown);
        Ok(shown)
    }

    /// Folds what a view shows of a frontier. Conflicts come sorted by path.
    fn fold_view(&self, in_force: &InForce, frontier: &[CommitId]) -> Result<(Partial, Vec<Conflict>)> {
        let mut forced = BTreeSet::new();
        loop {
            match self.pass(in_force, frontier, &forced)? {
                Pass::Again(more) => more.iter().for_each(|path| add_covering(&mut forced, path)),
                Pass::Done(partial, found) => {
                    let conflicts = self.describe(in_force, frontier, &forced, found)?;
                    return Ok((partial, conflicts));
                }
            }
        }
    }

    /// Goes once over the heads, with `forced` set aside from the beginning.
    fn pass(&self, in_force: &InForce, frontier: &[CommitId], forced: &BTreeSet<RawPath>) -> Result<Pass> {
        let Some(first) = frontier.first() else { return Err(super::MergeError::NoHeads) };
        let mut whole = Partial::whole(self.tree_of(*first, in_force.view)?);
        whole.no_value = forced.clone();
        let nothing = forced.iter().map(|path| (path.clone(), None)).collect();
        whole.tree = with_edits(&self.objects, whole.tree, &nothing)?;
        let mut found_at: Vec<FoundAt> = Vec::new();
        for (step, id) in frontier.iter().enumerate().skip(1) {
            let bases = self.history.merge_bases(&frontier[..step], *id)?;
            let base = self.base(in_force, &bases)?;
            let theirs = self.tree_of(*id, in_force.view)?;
            let merged = merge(&self.objects, &in_force.rules, &base, &whole, theirs, Purpose::Head)?;
            let covers = |found: &&Found| covers_some(&whole.no_value, &found.path);
            let again: BTreeSet<RawPath> =
                merged.found.iter().filter(covers).map(|found| found.path.clone()).collect();
            if !again.is_empty() {
                return Ok(Pass::Again(again));
            }
            found_at.extend(merged.found.into_iter().map(|found| FoundAt { step, found }));
            whole = merged.partial;
        }
        Ok(Pass::Done(whole, found_at))
    }

    /// Returns the base that several best common ancestors make: one is itself, none is empty, several
    /// are folded, without value where they disagree.
    fn base(&self, in_force: &InForce, bases: &[CommitId]) -> Result<Rc<Partial>> {
        let key = |set: &[CommitId]| (in_force.view, in_force.file, set.to_vec());
        let mut todo = vec![bases.to_vec()];
        while let Some(set) = todo.last().cloned() {
            if self.bases.borrow().contains_key(&key(&set)) {
                todo.pop();
                continue;
            }
            let mut steps = Vec::new();
            for (step, id) in set.iter().enumerate().skip(1) {
                steps.push((*id, self.history.merge_bases(&set[..step], *id)?));
            }
            // These lie below all members of the set, so that the list comes to an end.
            let missing: Vec<Vec<CommitId>> = steps
                .iter()
                .map(|(_, below)| below.clone())
                .filter(|below| !self.bases.borrow().contains_key(&key(below)))
                .collect();
            if !missing.is_empty() {
                todo.extend(missing);
                continue;
            }
            let mut whole = Partial::whole(match set.first() {
                Some(first) => self.tree_of(*first, in_force.view)?,
                None => TreeId::empty(),
            });
            for (id, below) in steps {
                let base = self.bases.borrow().get(&key(&below)).cloned();
                let base = base.unwrap_or_else(|| Rc::new(Partial::whole(TreeId::empty())));
                let theirs = self.tree_of(id, in_force.view)?;
                let merged = merge(&self.objects, &in_force.rules, &base, &whole, theirs, Purpose::Base)?;
                whole = merged.partial;
            }
            self.bases.borrow_mut().insert(key(&set), Rc::new(whole));
            todo.pop();
        }
        let found = self.bases.borrow().get(&key(bases)).cloned();
        Ok(found.expect("the loop ends only when the set it began with is there"))
    }

    /// Makes conflicts of what a pass found: who brings which side.
    fn describe(
        &self,
        in_force: &InForce,
        frontier: &[CommitId],
        forced: &BTreeSet<RawPath>,
        found: Vec<FoundAt>,
    ) -> Result<Vec<Conflict>> {
        let lookup = Lookup::new(&self.objects);
        let mut conflicts = Vec::new();
        for path in forced {
            let mut sides = Vec::new();
            for id in frontier {
                sides.push(self.side(*id, lookup.entry(self.history.commit(*id)?.tree, path)?)?);
            }
            conflicts.push(Conflict {
                path: VaultPath::parse(path.as_slice())?,
                kind: ConflictKind::FileFolder,
                base: BaseValue::NoValue,
                sides,
                clears: Vec::new(),
                reason: None,
                made: Made::default(),
            });
        }
        for FoundAt { step, found } in found {
            let sides = self.sides(&lookup, in_force, frontier, step, &found)?;
            let clears = found
                .clears
                .iter()
                .map(|path| VaultPath::parse(path.as_slice()))
                .collect::<Result<_, _>>()?;
            let path = VaultPath::parse(found.path.as_slice())?;
            let named = sides.iter().filter_map(|side| side.entry).chain(found.base.entry());
            let made = self.made(named)?;
            let Found { kind, base, .. } = found;
            conflicts.push(Conflict { path, kind, base, sides, clears, reason: None, made });
        }
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(conflicts)
    }

    /// Returns what was made here of the entries that a conflict names.
    fn made(&self, named: impl Iterator<Item = Entry>) -> Result<Made> {
        let mut made = Made::default();
        for entry in named {
            if self.history.source().contains(entry.id)? {
                continue;
            }
            if entry.mode.is_tree() {
                made.0.extend(new_objects(&self.objects, TreeId::new(entry.id))?);
            } else {
                let object = self.objects.find(entry.id, Kind::Blob)?;
                if !stands_for_purged(entry.id, &object.data) {
                    made.0.insert(entry.id, object);
                }
            }
        }
        Ok(made)
    }

    /// Lists who brings what: the heads folded before, as far as they changed the path, with what they
    /// had merged into; the head that met them; those after it that changed the path as well.
    fn sides(
        &self,
        lookup: &Lookup<'_>,
        in_force: &InForce,
        frontier: &[CommitId],
        step: usize,
        found: &Found,
    ) -> Result<Vec<Side>> {
        let own = |id: CommitId| -> Result<Option<Entry>> {
            let tree = self.tree_of(id, in_force.view)?;
            for path in [&found.path].into_iter().chain(&found.clears) {
                if let Some(entry) = lookup.entry(tree, path)? {
                    return Ok(Some(entry));
                }
            }
            Ok(None)
        };
        let mut before = Vec::new();
        for id in &frontier[..step] {
            if !found.base.is_unchanged(own(*id)?) {
                before.push(*id);
            }
        }
        if before.is_empty() {
            before = frontier[..step].to_vec();
        }
        let mut sides = Vec::new();
        for id in before {
            sides.push(self.side(id, found.ours)?);
        }
        sides.push(self.side(frontier[step], found.theirs)?);
        for id in &frontier[step + 1..] {
            let entry = own(*id)?;
            if !found.base.is_unchanged(entry) {
                sides.push(self.side(*id, entry)?);
            }
        }
        Ok(sides)
    }
}

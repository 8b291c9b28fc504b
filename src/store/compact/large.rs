//! Compaction of objects that are cut in chunks: chunk by chunk, those that are new on those in their place.

use rayon::prelude::*;

use super::{BATCH, Work};
use crate::object::ObjectId;
use crate::store::error::{Error, Result};
use crate::store::frame::Effort;
use crate::store::pack::large::Older;
use crate::store::pack::plan::{self, Record, Spec};
use crate::store::recipe::{Piece, Recipe};

/// What an object is made of, in the order of its bytes.
#[derive(Default)]
struct Parts {
    chunks: Vec<(u64, Piece)>,
    /// Recipes below the top: level, place, piece.
    nodes: Vec<(u8, u64, Piece)>,
}

impl Work<'_> {
    fn parts(&self, id: ObjectId, top: &Recipe) -> Result<Parts> {
        let mut parts = Parts::default();
        let mut open = vec![(top.clone(), 0u64, 0usize)];
        while let Some((recipe, place, next)) = open.last_mut() {
            let Some(piece) = recipe.pieces.get(*next).copied() else {
                open.pop();
                continue;
            };
            let (level, at) = (recipe.level, *place);
            *place += piece.length;
            *next += 1;
            if level == 0 {
                parts.chunks.push((at, piece));
            } else {
                parts.nodes.push((level - 1, at, piece));
                let inner = self.store.shelf().part_recipe(id, piece.id, piece.length, level)?;
                open.push((inner, at, 0));
            }
        }
        Ok(parts)
    }

    /// Writes a large object; what it has in common with `base`, the next newer version, is there already.
    pub(super) fn write_large(
        &mut self,
        id: ObjectId,
        base: Option<ObjectId>,
        effort: Effort<'_>,
    ) -> Result<()> {
        let shelf = self.store.shelf();
        let found = self.store.locate(&id)?.ok_or(Error::Missing { id })?;
        let top = shelf.recipe(&found)?;
        let parts = self.parts(id, &top)?;
        let mut older = base.and_then(|base| Older::load(&self.writer.shelf(), base)).unwrap_or_default();
        for batch in parts.chunks.chunks(BATCH) {
            let placed = batch.iter().map(|(at, piece)| {
                let is_new = older.find(&piece.id, *at).is_none();
                (*piece, is_new.then(|| older.in_place_of(*at, piece.length)).flatten())
            });
            let new: Vec<_> = placed.filter(|(piece, _)| !self.writer.holds(&piece.id)).collect();
            self.write_parts(id, new, effort)?;
        }
        let nodes =
            parts.nodes.iter().map(|(level, at, piece)| (*piece, older.node_in_place_of(*level, *at)));
        let nodes: Vec<_> = nodes.filter(|(piece, _)| !self.writer.holds(&piece.id)).collect();
        self.write_parts(id, nodes, effort)?;
        let spec = Spec::recipe(id, found.entry.kind, found.entry.plain);
        let record =
            plan::encode_on_best(&self.writer.shelf(), &spec, &top.encode(), base.as_slice(), effort);
        self.writer.append(record)
    }

    fn write_parts(
        &mut self,
        of: ObjectId,
        parts: Vec<(Piece, Option<ObjectId>)>,
        effort: Effort<'_>,
    ) -> Result<()> {
        for batch in parts.chunks(BATCH) {
            let encode = |(piece, base): &(Piece, Option<ObjectId>)| -> Result<Record> {
                let bytes = self.store.shelf().part(of, piece.id)?;
                let spec = Spec::part(piece.id, bytes.len() as u64);
                Ok(plan::encode_on_best(&self.writer.shelf(), &spec, &bytes, base.as_slice(), effort))
            };
            let records: Vec<Result<Record>> = batch.par_iter().map(encode).collect();
            for record in records {
                self.writer.append(record?)?;
            }
        }
        Ok(())
    }
}

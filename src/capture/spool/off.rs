//! Without the feature `spool` there is no disk: a store that cannot exist, so that the actor needs no
//! cases and the compiler leaves them out.

use super::batch::Batch;
use super::queue::Home;
use super::stats::DropReason;
use std::io;

pub(crate) type FileId = std::convert::Infallible;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Durability {
    Synced,
    Written,
}

pub(crate) struct Lost {
    pub(crate) home: Home,
    pub(crate) events: u64,
    pub(crate) reason: DropReason,
}

#[derive(Debug)]
pub(crate) enum Store {}

impl Store {
    pub(crate) fn writes_ahead(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_usable(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_full(&self) -> bool {
        match *self {}
    }

    pub(crate) fn open(&mut self) -> u64 {
        match *self {}
    }

    pub(crate) fn adopt_orphans(&mut self, _: std::time::Duration) -> u64 {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &Batch, _: Durability) -> io::Result<FileId> {
        match *self {}
    }

    pub(crate) fn rewrite(&mut self, _: &Batch, _: FileId) -> io::Result<FileId> {
        match *self {}
    }

    pub(crate) fn release(&mut self, _: FileId) {
        match *self {}
    }

    pub(crate) fn remove(&mut self, _: FileId) {
        match *self {}
    }

    pub(crate) fn next(&mut self) -> Option<Batch> {
        match *self {}
    }

    pub(crate) fn defer(&mut self, _: FileId) {
        match *self {}
    }

    pub(crate) fn has_waiting(&self) -> bool {
        match *self {}
    }

    pub(crate) fn waiting_before(&self, _: u64) -> bool {
        match *self {}
    }

    pub(crate) fn events_before(&self, _: u64) -> u64 {
        match *self {}
    }

    pub(crate) fn take_lost(&mut self) -> Vec<Lost> {
        match *self {}
    }
}

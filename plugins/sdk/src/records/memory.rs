//! Records of one thread, for tests on the host.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Filter, Guard, Record, refused};
use crate::Error;

pub(super) type Raw = Record<String>;

thread_local! {
    static KEPT: RefCell<BTreeMap<(String, String), Raw>> = const { RefCell::new(BTreeMap::new()) };
}

fn name(record_type: &str, id: &str) -> (String, String) {
    (record_type.to_owned(), id.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the engine's may fail")]
pub(super) fn is_type(_: &str) -> Result<bool, Error> {
    Ok(true)
}

#[expect(clippy::unnecessary_wraps, reason = "the engine's may fail")]
pub(super) fn get(record_type: &str, id: &str) -> Result<Option<Raw>, Error> {
    Ok(KEPT.with_borrow(|kept| kept.get(&name(record_type, id)).cloned()))
}

#[expect(clippy::unnecessary_wraps, reason = "the engine's may fail")]
pub(super) fn list(
    record_type: &str,
    filter: Filter<'_>,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<Raw>, Option<String>), Error> {
    let fits = |one: &Raw| {
        filter.status.is_none_or(|status| status == one.status)
            && filter.min.is_none_or(|min| one.status_code >= min)
            && filter.max.is_none_or(|max| one.status_code <= max)
            && after.is_none_or(|after| *after < *one.id)
    };
    let mut found: Vec<Raw> = KEPT.with_borrow(|kept| {
        kept.iter().filter(|((of, _), one)| of == record_type && fits(one)).map(|(_, one)| one.clone()).collect()
    });
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|last| last.id.clone()).filter(|_| more);
    Ok((found, next))
}

#[expect(clippy::unnecessary_wraps, reason = "the engine's may fail")]
pub(super) fn put(record_type: &str, id: &str, status: &str, body: &str) -> Result<u64, Error> {
    Ok(KEPT.with_borrow_mut(|kept| {
        let revision = kept.get(&name(record_type, id)).map_or(0, |known| known.revision) + 1;
        let (id_text, status, body) = (id.to_owned(), status.to_owned(), body.to_owned());
        let record = Record { id: id_text, status, status_code: 0, revision, body };
        kept.insert(name(record_type, id), record);
        revision
    }))
}

pub(super) fn compare_and_set(
    record_type: &str,
    id: &str,
    guard: Guard<'_>,
    status: &str,
    body: Option<&str>,
) -> Result<Option<u64>, Error> {
    let known = get(record_type, id)?;
    let holds = match (guard, &known) {
        (Guard::Between(None, None), _) => return Err(refused("a range of statuses has a min, a max or both".into())),
        (Guard::Absent, _) if body.is_none() => return Err(refused("`absent` needs a body".into())),
        (Guard::Absent, known) => known.is_none(),
        (_, None) => false,
        (Guard::Status(status), Some(known)) => known.status == status,
        (Guard::Between(min, max), Some(known)) => {
            min.is_none_or(|min| known.status_code >= min) && max.is_none_or(|max| known.status_code <= max)
        }
        (Guard::Revision(revision), Some(known)) => known.revision == revision,
    };
    if !holds {
        return Ok(None);
    }
    let was = known.map(|known| known.body).unwrap_or_default();
    put(record_type, id, status, body.unwrap_or(&was)).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::records::{Filter, Guard, compare_and_set, get, list, put, set_status};

    #[test]
    fn of_two_that_claim_the_second_is_told() {
        let claim = || compare_and_set("order", "1", Guard::Absent, "PAYING", Some(&7)).ok().flatten();
        assert_eq!((claim(), claim()), (Some(1), None));
        let next = |guard| set_status("order", "1", guard, "PAID").ok().flatten();
        assert_eq!(
            (next(Guard::Status("NEW")), next(Guard::Revision(2)), next(Guard::Between(Some(1), None))),
            (None, None, None)
        );
        assert_eq!(next(Guard::Status("PAYING")), Some(2));
        let known = get::<u32>("order", "1").ok().flatten();
        assert!(known.is_some_and(|known| known.status == "PAID" && known.body == 7 && known.revision == 2));
        assert_eq!(put("order", "2", "NEW", &8).ok(), Some(1));
        let page = list::<u32>("order", Filter { status: Some("NEW"), ..Filter::default() }, None, 1).ok();
        assert!(page.is_some_and(|page| page.records.len() == 1 && page.records[0].body == 8 && page.next.is_none()));
        assert!(set_status("order", "3", Guard::Absent, "NEW").is_err());
    }
}

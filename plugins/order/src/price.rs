//! What the items cost together, before discount and shipping.

use serde::{Deserialize, Serialize};
use stepwell_sdk::{Error, NoConfig, rejected};

/// The largest whole number that JSON readers agree on.
const WHOLE_MAX: i64 = (1 << 53) - 1;

#[derive(Deserialize)]
pub(crate) struct Input {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    qty: i64,
    unit_cents: i64,
}

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Output {
    subtotal_cents: i64,
}

pub(crate) fn run(_: NoConfig, input: Input) -> Result<Output, Error> {
    input
        .items
        .iter()
        .try_fold(0_i64, |sum, item| item.qty.checked_mul(item.unit_cents)?.checked_add(sum))
        .filter(|sum| sum.abs() <= WHOLE_MAX)
        .map(|subtotal_cents| Output { subtotal_cents })
        .ok_or_else(|| rejected("AMOUNT_TOO_LARGE", "the items add up to more than can be counted"))
}

#[cfg(test)]
mod tests {
    use stepwell_sdk::testing::answer;

    #[test]
    fn items_add_up() {
        for (items, expected) in [
            (r"[]", r#"{"subtotal_cents":0}"#),
            (r#"[{"qty":2,"unit_cents":12900},{"qty":1,"unit_cents":5990}]"#, r#"{"subtotal_cents":31790}"#),
            (r#"[{"sku":"A","qty":3,"unit_cents":0}]"#, r#"{"subtotal_cents":0}"#),
            (r#"[{"qty":1000000,"unit_cents":9000000000}]"#, r#"{"subtotal_cents":9000000000000000}"#),
            (r#"[{"qty":1000001,"unit_cents":9008000000}]"#, "rejected AMOUNT_TOO_LARGE"), // Beyond 2^53.
            (r#"[{"qty":4000000000,"unit_cents":9000000000}]"#, "rejected AMOUNT_TOO_LARGE"),
            (r#"[{"qty":9223372036854775807,"unit_cents":2}]"#, "rejected AMOUNT_TOO_LARGE"),
        ] {
            let shown = answer::<crate::Order>("price", "{}", &format!(r#"{{"items":{items}}}"#));
            assert!(shown.contains(expected), "{items}: {shown}");
        }
    }
}

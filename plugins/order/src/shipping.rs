//! What it costs to ship the items, by region and total weight.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use stepwell_sdk::{Error, NoConfig, rejected};

/// Fees in cents per region: up to 1000 g, up to 5000 g, above. The one list of known regions.
const FEES: [(&str, [u32; 3]); 3] =
    [("north", [800, 1500, 3000]), ("south", [600, 1200, 2500]), ("west", [1200, 2200, 4200])];

#[derive(Deserialize)]
pub(crate) struct Input<'a> {
    #[serde(borrow)]
    region: Cow<'a, str>,
    items: Vec<Item>,
    ships: bool,
}

#[derive(Deserialize)]
struct Item {
    qty: u64,
    /// Grams per piece; what has no weight, such as a voucher, may leave it out.
    #[serde(default)]
    weight_g: u64,
}

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Output {
    grams: u64,
    fee_cents: u32,
}

pub(crate) fn run(_: NoConfig, input: Input<'_>) -> Result<Output, Error> {
    let fees = fees(&input.region)
        .ok_or_else(|| rejected("UNKNOWN_REGION", format!("nothing is shipped to region {:?}", input.region)))?;
    let grams = input
        .items
        .iter()
        .try_fold(0_u64, |sum, item| item.qty.checked_mul(item.weight_g)?.checked_add(sum))
        .filter(|grams| *grams < 1 << 53)
        .ok_or_else(|| rejected("WEIGHT_TOO_LARGE", "the items weigh more than can be counted"))?;
    let fee_cents = match grams {
        _ if !input.ships => 0,
        0..=1000 => fees[0],
        1001..=5000 => fees[1],
        5001.. => fees[2],
    };
    Ok(Output { grams, fee_cents })
}

fn fees(region: &str) -> Option<[u32; 3]> {
    FEES.iter().find(|(name, _)| *name == region).map(|(_, fees)| *fees)
}

pub(crate) fn is_known(region: &str) -> bool {
    fees(region).is_some()
}

#[cfg(test)]
mod tests {
    use stepwell_sdk::testing::answer;

    #[test]
    fn the_fee_follows_region_and_weight() {
        for (region, qty, weight_g, ships, expected) in [
            ("north", 1, 1000, true, r#""fee_cents":800"#),
            ("north", 1, 1001, true, r#""fee_cents":1500"#),
            ("north", 5, 1000, true, r#""fee_cents":1500"#),
            ("north", 1, 5001, true, r#""fee_cents":3000"#),
            ("south", 1, 0, true, r#""fee_cents":600"#),
            ("south", 2, 2500, true, r#""fee_cents":1200"#),
            ("south", 2, 2501, true, r#""fee_cents":2500"#),
            ("west", 1, 1000, true, r#""fee_cents":1200"#),
            ("west", 1, 5000, true, r#""fee_cents":2200"#),
            ("west", 1, 9000, true, r#""fee_cents":4200"#),
            ("west", 1, 9000, false, r#"{"grams":9000,"fee_cents":0}"#),
            ("east", 1, 1, true, "rejected UNKNOWN_REGION"),
            ("east", 1, 1, false, "rejected UNKNOWN_REGION"),
        ] {
            let input =
                format!(r#"{{"region":"{region}","ships":{ships},"items":[{{"qty":{qty},"weight_g":{weight_g}}}]}}"#);
            let shown = answer::<crate::Order>("shipping", "{}", &input);
            assert!(shown.contains(expected), "{input}: {shown}");
        }
    }
}

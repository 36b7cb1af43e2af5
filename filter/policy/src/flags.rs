//! Envoy's response flags by name, as its access log writes them. The bits are those of the attribute `response.flags`.

/// Short names; the place in the list is the bit.
const NAMES: [&str; 30] = [
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX",
    "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
];

/// The bit of a flag; none where there is no such flag.
#[must_use]
pub fn flag_bit(name: &str) -> Option<u64> {
    NAMES.iter().position(|known| *known == name).map(|place| 1 << place)
}

/// The names of flags, joined by commas; flags without a name are left out.
#[must_use]
pub fn flag_names(flags: u64) -> String {
    let set = NAMES.iter().enumerate().filter(|(place, _)| flags & (1 << place) != 0);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

/// All names, for messages.
pub(crate) fn allowed() -> String {
    NAMES.join(", ")
}

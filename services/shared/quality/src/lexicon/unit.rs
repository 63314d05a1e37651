//! The units that a number may have.

/// The unit that a number counts. Numbers of one value and different units are different: 30 days
/// are not 30 months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Unit {
    Percent,
    Dollar,
    Euro,
    Pound,
    Franc,
    Yen,
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Kilometre,
    Metre,
    Centimetre,
    Millimetre,
    Mile,
    Tonne,
    Kilogram,
    Gram,
    Milligram,
    Litre,
    Millilitre,
    Degree,
}

//! Decimal numbers of any size (`java.math.BigDecimal`).

use std::fmt;

use bytes::Bytes;

/// `unscaled * 10^-scale`, with any number of digits, as `java.math.BigDecimal` has it.
///
/// Equality is that of `BigDecimal.equals`: `1.0` and `1.00` differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    // Shortest big-endian two's complement, as `BigInteger.toByteArray` gives it.
    unscaled: Bytes,
    scale: i32,
}

impl Decimal {
    /// From a big-endian two's complement integer and a scale. No bytes at all mean zero.
    pub fn new(unscaled: impl Into<Bytes>, scale: i32) -> Self {
        let bytes: Bytes = unscaled.into();
        let redundant = bytes
            .windows(2)
            .take_while(|pair| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80))
            .count();
        let unscaled = if bytes.is_empty() { Bytes::from_static(&[0]) } else { bytes.slice(redundant..) };
        Self { unscaled, scale }
    }

    /// From an unscaled integer and a scale.
    pub fn from_i128(unscaled: i128, scale: i32) -> Self {
        Self::new(unscaled.to_be_bytes().to_vec(), scale)
    }

    /// Parses what `new BigDecimal(String)` parses: an optional sign, digits with an optional point, an optional exponent.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => {
                let exponent = &text[at + 1..];
                (&text[..at], exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?)
            }
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let scale = i32::try_from(i64::try_from(fraction.len()).ok()?.checked_sub(i64::from(exponent))?).ok()?;
        Some(Self::new(to_twos_complement(whole.bytes().chain(fraction.bytes()), negative), scale))
    }

    /// The unscaled value: shortest big-endian two's complement (`BigInteger.toByteArray`).
    pub fn unscaled(&self) -> &Bytes {
        &self.unscaled
    }

    /// The number of digits behind the point; negative for multiples of powers of ten.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.unscaled[0] >= 0x80
    }

    /// The nearest double (`BigDecimal.doubleValue`).
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The lowest 64 bits of the whole part (`BigDecimal.longValue`).
    pub fn to_i64_wrapping(&self) -> i64 {
        let digits = self.digits();
        let scale = i64::from(self.scale);
        let kept = if scale > 0 { digits.len().saturating_sub(scale as usize) } else { digits.len() };
        let ten = |value: u64, digit: u8| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        let whole = digits.as_bytes()[..kept].iter().fold(0, |value, digit| ten(value, *digit));
        // Beyond 64 zeros nothing is left in 64 bits.
        let value = (0..scale.min(0).unsigned_abs().min(64)).fold(whole, |value, _| ten(value, b'0')) as i64;
        if self.is_negative() { value.wrapping_neg() } else { value }
    }

    /// The unscaled value when it fits.
    pub fn unscaled_i128(&self) -> Option<i128> {
        if self.unscaled.len() > 16 {
            return None;
        }
        let sign = if self.is_negative() { 0xff } else { 0 };
        let mut bytes = [sign; 16];
        bytes[16 - self.unscaled.len()..].copy_from_slice(&self.unscaled);
        Some(i128::from_be_bytes(bytes))
    }

    /// The absolute unscaled value in decimal digits.
    fn digits(&self) -> String {
        match self.unscaled_i128() {
            Some(value) => value.unsigned_abs().to_string(),
            None => digits(&self.unscaled, self.is_negative()),
        }
    }
}

impl fmt::Display for Decimal {
    /// As `BigDecimal.toString`: plain where the scale allows it, else with an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let digits = self.digits();
        if self.scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let scale = i64::from(self.scale);
        let length = digits.len() as i64;
        let adjusted = length - 1 - scale;
        if scale > 0 && adjusted >= -6 {
            if scale < length {
                let (whole, fraction) = digits.split_at((length - scale) as usize);
                return write!(f, "{sign}{whole}.{fraction}");
            }
            return write!(f, "{sign}0.{}{digits}", "0".repeat((scale - length) as usize));
        }
        let (first, rest) = digits.split_at(1);
        write!(f, "{sign}{first}")?;
        if !rest.is_empty() {
            write!(f, ".{rest}")?;
        }
        if adjusted != 0 {
            write!(f, "E{adjusted:+}")?;
        }
        Ok(())
    }
}

/// Schoolbook conversion from two's complement: numbers beyond 128 bits are rare, and short.
fn digits(bytes: &[u8], negative: bool) -> String {
    let mut limbs: Vec<u32> = magnitude(bytes, negative)
        .rchunks(4)
        .rev()
        .map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte)))
        .collect();
    let mut groups = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest = 0u64;
        for limb in &mut limbs {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / 1_000_000_000) as u32;
            rest = value % 1_000_000_000;
        }
        groups.push(rest);
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

fn magnitude(bytes: &[u8], negative: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if negative {
        negate(&mut bytes);
    }
    bytes
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        let (value, overflow) = (!*byte).overflowing_add(u8::from(carry));
        *byte = value;
        carry = overflow;
    }
}

fn to_twos_complement(digits: impl Iterator<Item = u8>, negative: bool) -> Vec<u8> {
    // Little-endian limbs, multiplied by ten for each digit.
    let mut limbs: Vec<u32> = vec![0];
    for digit in digits {
        let mut carry = u64::from(digit - b'0');
        for limb in &mut limbs {
            let value = u64::from(*limb) * 10 + carry;
            *limb = value as u32;
            carry = value >> 32;
        }
        if carry > 0 {
            limbs.push(carry as u32);
        }
    }
    let mut bytes = vec![0];
    bytes.extend(limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()));
    if negative {
        negate(&mut bytes);
    }
    bytes
}

//! Numbers, dates and addresses in the shapes that Java prints and tools parse.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// A decimal as `Double.toString` writes it: at least one digit after the point, an exponent outside 10⁻³..10⁷.
// Java: Double.toString
pub fn decimal(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return match value {
            0.0 => "0.0".to_owned(),
            nan if nan.is_nan() => "NaN".to_owned(),
            positive if positive > 0.0 => "Infinity".to_owned(),
            _ => "-Infinity".to_owned(),
        };
    }
    if (1e-3..1e7).contains(&value.abs()) {
        let text = value.to_string();
        return if text.contains('.') { text } else { format!("{text}.0") };
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

/// Time zone of the dates in answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Abbreviation, such as `UTC`.
    pub name: String,
    /// Seconds east of Greenwich.
    pub offset_s: i64,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), offset_s: 0 }
    }
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Milliseconds since 1970 as `Mon Nov 23 00:45:05 UTC 2026`.
// Java: Date.toString
pub fn date(wall_ms: i64, zone: &Zone) -> String {
    let seconds = wall_ms.div_euclid(1000) + zone.offset_s;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, of_month) = civil(day);
    let weekday = DAYS[usize::try_from(day.rem_euclid(7)).unwrap_or(0)];
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let name = &zone.name;
    format!(
        "{weekday} {} {of_month:02} {hour:02}:{minute:02}:{:02} {name} {year}",
        MONTHS[month],
        second % 60
    )
}

/// Year, month from 0 and day of the month of a day counted from 1970, in the Gregorian calendar.
fn civil(day: i64) -> (i64, usize, i64) {
    let shifted = day + 719_468; // days from 1 March of the year 0
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = (from_march + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), of_year - (153 * from_march + 2) / 5 + 1)
}

/// An address as `/127.0.0.1:2181`; IPv6 in brackets, every group written out.
// Java: InetSocketAddress.toString
pub fn address(address: SocketAddr) -> String {
    let mut text = "/".to_owned();
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => text.push_str(&ip.to_string()),
        IpAddr::V6(ip) => {
            let groups: Vec<String> = ip.segments().iter().map(|group| format!("{group:x}")).collect();
            let _ = write!(text, "[{}]", groups.join(":"));
        }
    }
    let _ = write!(text, ":{}", address.port());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_look_as_java_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (2.4545, "2.4545"),
            (3.0, "3.0"),
            (-1.5, "-1.5"),
            (0.001, "0.001"),
            (0.0005, "5.0E-4"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (f64::NAN, "NaN"),
        ];
        for (value, want) in cases {
            assert_eq!(decimal(value), want);
        }
    }

    #[test]
    fn dates_look_as_java_writes_them() {
        let zone = Zone { name: "CET".to_owned(), offset_s: 3600 };
        assert_eq!(date(1_795_394_705_000, &Zone::utc()), "Mon Nov 23 00:45:05 UTC 2026");
        assert_eq!(date(1_795_394_705_000, &zone), "Mon Nov 23 01:45:05 CET 2026");
        assert_eq!(date(951_782_400_000, &Zone::utc()), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(date(-1, &Zone::utc()), "Wed Dec 31 23:59:59 UTC 1969");
    }

    #[test]
    fn addresses_look_as_java_writes_them() {
        let text = |text: &str| address(text.parse().unwrap());
        assert_eq!(text("127.0.0.1:5"), "/127.0.0.1:5");
        assert_eq!(text("[::1]:5"), "/[0:0:0:0:0:0:0:1]:5");
        assert_eq!(text("[::ffff:10.0.0.1]:5"), "/10.0.0.1:5");
    }
}

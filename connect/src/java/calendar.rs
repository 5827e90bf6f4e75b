//! `java.util.GregorianCalendar` in UTC, lenient, with the weeks of the United States: they begin on Sunday, and the first of
//! January is in the first one. Days before 1582-10-15 are in the Julian calendar.

use super::{MILLIS_PER_DAY, civil_from_days, days_from_civil};

/// The first day of the Gregorian calendar, 1582-10-15, in days since 1970-01-01.
const CUTOVER: i64 = -141_427;
const CUTOVER_YEAR: i64 = 1582;
/// Days from the first of March in the year 0 of the Julian calendar to 1970-01-01.
const JULIAN_EPOCH: i64 = 719_470;

/// Year, month (1 to 12) and day of the month; year 0 is 1 BC.
pub(crate) fn date_of(days: i64) -> (i64, u32, u32) {
    if days >= CUTOVER {
        return civil_from_days(days);
    }
    // Years of four-year cycles that begin in March.
    let days = days + JULIAN_EPOCH;
    let day_of_cycle = days.rem_euclid(1461);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1460) / 365;
    let day_of_year = day_of_cycle - 365 * year_of_cycle;
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (days.div_euclid(1461) * 4 + year_of_cycle + i64::from(month <= 2), month, day)
}

/// The first day of a month in the Julian calendar.
fn julian_month(year: i64, month: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let shifted = i64::from(if month > 2 { month - 3 } else { month + 9 });
    year * 365 + year.div_euclid(4) + (153 * shifted + 2) / 5 - JULIAN_EPOCH
}

/// The first of January, in the calendar of that year.
fn year_start(year: i64) -> i64 {
    if year > CUTOVER_YEAR { days_from_civil(year, 1, 1) } else { julian_month(year, 1) }
}

/// 1 for Sunday to 7 for Saturday.
fn day_of_week(days: i64) -> i64 {
    (days + 4).rem_euclid(7) + 1
}

/// The last day up to `days` that is of that day of the week.
fn on_or_before(days: i64, day_of_week: i64) -> i64 {
    days - (days + 4 - (day_of_week - 1)).rem_euclid(7)
}

/// The Sunday with which the first week of a year or month begins.
fn first_sunday(start: i64) -> i64 {
    on_or_before(start, 1)
}

/// An instant, divided into the fields of the calendar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// Year 0 is 1 BC.
    pub year: i64,
    pub week_year: i64,
    /// From 1.
    pub month: u32,
    pub day: u32,
    /// How often its day of the week has been in the month.
    pub day_of_week_in_month: i64,
    pub day_of_year: i64,
    /// 1 for Sunday.
    pub day_of_week: i64,
    pub week_of_year: i64,
    pub week_of_month: i64,
    pub millis_of_day: i64,
}

impl Fields {
    pub fn of(millis: i64) -> Self {
        let days = millis.div_euclid(MILLIS_PER_DAY);
        let (year, month, day) = date_of(days);
        let start = year_start(year);
        let month_start =
            if year == CUTOVER_YEAR && month == 10 { julian_month(year, 10) } else { days - i64::from(day) + 1 };
        let (mut week_year, mut week_of_year) = (year, (days - first_sunday(start)) / 7 + 1);
        // The last days of a year may be in the first week of the next one.
        if days >= first_sunday(year_start(year + 1)) {
            (week_year, week_of_year) = (year + 1, 1);
        }
        Self {
            year,
            week_year,
            month,
            day,
            day_of_week_in_month: (days - month_start) / 7 + 1,
            day_of_year: days - start + 1,
            day_of_week: day_of_week(days),
            week_of_year,
            week_of_month: (days - first_sunday(month_start)) / 7 + 1,
            millis_of_day: millis.rem_euclid(MILLIS_PER_DAY),
        }
    }
}

/// The fields that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// 0 for BC, 1 for AD.
    Era,
    Year,
    WeekYear,
    /// From 0.
    Month,
    WeekOfYear,
    WeekOfMonth,
    DayOfMonth,
    DayOfYear,
    /// 1 for Sunday.
    DayOfWeek,
    DayOfWeekInMonth,
    /// 0 before noon, 1 after.
    AmPm,
    Hour,
    HourOfDay,
    Minute,
    Second,
    Millisecond,
    /// Milliseconds east of Greenwich.
    ZoneOffset,
}

const FIELDS: usize = Field::ZoneOffset as usize + 1;

/// Fields that were set, from which the calendar makes an instant. Where they contradict each other, those set last count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Builder {
    values: [i64; FIELDS],
    /// When each was set; 0 is never.
    stamps: [u32; FIELDS],
    last: u32,
}

impl Builder {
    pub fn set(&mut self, field: Field, value: i64) {
        self.last += 1;
        self.values[field as usize] = value;
        self.stamps[field as usize] = self.last;
    }

    pub fn add_years(&mut self, years: i64) {
        self.values[Field::Year as usize] += years;
        self.values[Field::WeekYear as usize] += years;
    }

    fn get(&self, field: Field) -> i64 {
        self.values[field as usize]
    }

    fn stamp(&self, field: Field) -> u32 {
        self.stamps[field as usize]
    }

    fn is_set(&self, field: Field) -> bool {
        self.stamp(field) > 0
    }

    /// The later of two stamps when both are set.
    fn both(&self, one: Field, other: Field) -> u32 {
        let (one, other) = (self.stamp(one), self.stamp(other));
        if one == 0 || other == 0 { 0 } else { one.max(other) }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(&self) -> i64 {
        let millis_of_day = self.millis_of_day();
        let carried = millis_of_day.div_euclid(MILLIS_PER_DAY);
        let days = if self.stamp(Field::WeekYear) > self.stamp(Field::Year) {
            self.week_date(carried) + carried
        } else {
            self.days(carried)
        };
        // Java's arithmetic wraps too.
        days.wrapping_mul(MILLIS_PER_DAY)
            .wrapping_add(millis_of_day.rem_euclid(MILLIS_PER_DAY))
            .wrapping_sub(self.get(Field::ZoneOffset))
    }

    fn millis_of_day(&self) -> i64 {
        let half_day = self.both(Field::Hour, Field::AmPm);
        let mut best = half_day.max(self.stamp(Field::HourOfDay));
        if best == 0 {
            best = self.stamp(Field::Hour).max(self.stamp(Field::AmPm));
        }
        let hours = if best > 0 && best == self.stamp(Field::HourOfDay) {
            self.get(Field::HourOfDay)
        } else {
            self.get(Field::Hour) + 12 * self.get(Field::AmPm)
        };
        ((hours * 60 + self.get(Field::Minute)) * 60 + self.get(Field::Second)) * 1000 + self.get(Field::Millisecond)
    }

    /// `GregorianCalendar.setWeekDate`
    fn week_date(&self, carried: i64) -> i64 {
        let mut week = if self.is_set(Field::WeekOfYear) { self.get(Field::WeekOfYear) } else { 1 };
        let mut day = if self.is_set(Field::DayOfWeek) { self.get(Field::DayOfWeek) } else { 1 };
        // A number of a day that is out of range is one of days that are counted from Monday.
        if !(1..=7).contains(&day) {
            if day >= 8 {
                day -= 1;
                week += day / 7;
                day = day % 7 + 1;
            } else {
                while day <= 0 {
                    day += 7;
                    week -= 1;
                }
            }
            day = if day == 7 { 1 } else { day + 1 };
        }
        let year = self.get(Field::WeekYear);
        // The era is that of the day which the other fields say.
        let year = if date_of(self.days(carried)).0 <= 0 { 1 - year } else { year };
        first_sunday(year_start(year)) + day - 1 + 7 * (week - 1)
    }

    /// The day in the calendar that was in use then (`GregorianCalendar.computeTime`). `carried` days come from the time of day.
    fn days(&self, carried: i64) -> i64 {
        let mut year = if self.is_set(Field::Year) { self.get(Field::Year) } else { 1970 };
        if self.is_set(Field::Era) && self.get(Field::Era) == 0 {
            year = 1 - year;
        }
        let group = self.date_group();
        let gregorian = carried + self.day_in(&group, year, |year, month| days_from_civil(year, month, 1));
        if year > CUTOVER_YEAR && gregorian >= CUTOVER {
            return gregorian;
        }
        let julian = carried + self.day_in(&group, year, julian_month);
        if year < CUTOVER_YEAR {
            return julian;
        }
        let of_year = matches!(group, DateGroup::DayOfYear | DateGroup::WeekOfYear);
        if gregorian >= CUTOVER && !of_year { gregorian } else { julian }
    }

    fn day_in(&self, group: &DateGroup, year: i64, month_start: impl Fn(i64, u32) -> i64) -> i64 {
        let with_month = !matches!(group, DateGroup::DayOfYear | DateGroup::WeekOfYear);
        let month = if with_month { self.get(Field::Month) } else { 0 };
        let year = year + month.div_euclid(12);
        let month = month.rem_euclid(12) as u32 + 1;
        let start = month_start(year, month);
        let weekday = self.is_set(Field::DayOfWeek).then(|| self.get(Field::DayOfWeek));
        let in_week = |sunday: i64| weekday.map_or(sunday, |day| on_or_before(sunday + 6, day));
        match group {
            DateGroup::DayOfMonth if self.is_set(Field::DayOfMonth) => start + self.get(Field::DayOfMonth) - 1,
            DateGroup::DayOfMonth => start,
            DateGroup::WeekOfMonth => in_week(first_sunday(start)) + 7 * (self.get(Field::WeekOfMonth) - 1),
            DateGroup::DayOfWeekInMonth => {
                let nth = if self.is_set(Field::DayOfWeekInMonth) { self.get(Field::DayOfWeekInMonth) } else { 1 };
                let last = if nth >= 0 {
                    start + 7 * nth - 1
                } else {
                    let next = if month == 12 { month_start(year + 1, 1) } else { month_start(year, month + 1) };
                    next + 7 * (nth + 1) - 1
                };
                on_or_before(last, weekday.unwrap_or(1))
            }
            DateGroup::DayOfYear => start + self.get(Field::DayOfYear) - 1,
            DateGroup::WeekOfYear => in_week(first_sunday(start)) + 7 * (self.get(Field::WeekOfYear) - 1),
        }
    }

    /// Which fields say the day: the most recent group of fields that is complete (`Calendar.selectFields`).
    fn date_group(&self) -> DateGroup {
        let day_of_week = self.stamp(Field::DayOfWeek);
        let mut day_of_month = self.stamp(Field::DayOfMonth);
        let mut week_of_month = self.both(Field::WeekOfMonth, Field::DayOfWeek);
        let mut in_month = self.both(Field::DayOfWeekInMonth, Field::DayOfWeek);
        let day_of_year = self.stamp(Field::DayOfYear);
        let mut week_of_year = self.both(Field::WeekOfYear, Field::DayOfWeek);
        let mut best = day_of_month.max(week_of_month).max(in_month).max(day_of_year).max(week_of_year);
        if best == 0 {
            week_of_month = self.stamp(Field::WeekOfMonth);
            in_month = self.stamp(Field::DayOfWeekInMonth).max(day_of_week);
            week_of_year = self.stamp(Field::WeekOfYear);
            best = week_of_month.max(in_month).max(week_of_year);
            if best == 0 {
                day_of_month = self.stamp(Field::Month);
                best = day_of_month;
            }
        }
        let of_year = self.stamp(Field::WeekOfYear);
        if best == day_of_month {
            DateGroup::DayOfMonth
        } else if (best == week_of_month && self.stamp(Field::WeekOfMonth) >= of_year)
            || (best == in_month && self.stamp(Field::DayOfWeekInMonth) >= of_year)
        {
            let by_week = if week_of_month == in_month {
                self.stamp(Field::WeekOfMonth) >= self.stamp(Field::DayOfWeekInMonth)
            } else {
                best == week_of_month
            };
            if by_week { DateGroup::WeekOfMonth } else { DateGroup::DayOfWeekInMonth }
        } else if best == day_of_year {
            DateGroup::DayOfYear
        } else {
            DateGroup::WeekOfYear
        }
    }
}

enum DateGroup {
    DayOfMonth,
    WeekOfMonth,
    DayOfWeekInMonth,
    DayOfYear,
    WeekOfYear,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_julian_calendar_ends_on_the_fourth_of_october_1582() {
        assert_eq!(date_of(CUTOVER), (1582, 10, 15));
        assert_eq!(date_of(CUTOVER - 1), (1582, 10, 4));
        for days in -1_000_000..CUTOVER {
            let (year, month, day) = date_of(days);
            assert_eq!(julian_month(year, month) + i64::from(day) - 1, days);
        }
    }

    #[test]
    fn weeks_begin_on_sunday() {
        // 2022-01-01 was a Saturday, 2023-12-31 a Sunday.
        let of = |year, month, day| Fields::of(days_from_civil(year, month, day) * MILLIS_PER_DAY);
        assert_eq!((of(2022, 1, 1).week_of_year, of(2022, 1, 2).week_of_year), (1, 2));
        assert_eq!((of(2023, 12, 31).week_year, of(2023, 12, 31).week_of_year), (2024, 1));
        assert_eq!((of(2023, 12, 30).week_year, of(2023, 12, 30).week_of_year), (2023, 52));
    }
}

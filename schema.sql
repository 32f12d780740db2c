-- agora-vendor's books, version 6. One file holds one extension of one vendor.
--
-- Times are Unix seconds, UTC. Amounts are exact decimals as text, in canonical form: no
-- exponent, no
-- leading zeros, no zeros at the end of the fraction, zero as '0'; SQLite's own numbers would
-- round them.
-- Ids are 1 to 64 bytes of printable ASCII without space unless said otherwise, compared bytewise.

-- Settings that change an answer or a figure. A setting without a row has its default (`setting
-- list`).
create table setting (
  name  text not null primary key,  -- one of the names that `setting list` prints
  value text not null               -- as given to `setting set`, checked there
) strict, without rowid;

-- What settings were set to, by whom and when: append-only. Earlier versions did not keep it.
create table setting_change (
  seq   integer primary key,  -- order of writing, from 1
  name  text    not null,     -- the setting's name
  was   text    not null,     -- its value before, the default where nobody had set it
  value text    not null,     -- its value from then on
  at_s  integer not null,     -- seconds; when it was set
  actor text    not null      -- by whom, as in event
) strict;

create trigger setting_change_is_not_changed before update on setting_change
begin
  select raise(abort, 'changes of settings are only added: one is not changed');
end;
create trigger setting_change_is_not_deleted before delete on setting_change
begin
  select raise(abort, 'changes of settings are only added: one is not deleted');
end;

-- Backups that succeeded. Each is written after its copy was made: no copy holds itself. No figure
-- rests on them.
create table backup_made (
  seq   integer primary key,  -- order of writing, from 1
  -- seconds; when it was begun: it holds all that was written up to then
  at_s  integer not null,
  path  text    not null,     -- the copy's file, from the root, as it was then
  bytes integer not null,     -- the copy's length
  actor text    not null      -- by whom, as in event
) strict;

-- The key pairs whose signatures are accepted.
create table api_key (
  -- order of writing: of two live pairs the later one signs
  seq          integer primary key,
  -- public half, 1 to 128 bytes, sent in every request
  api_key      text    not null unique,
  -- private half, never sent; HMAC needs it in the clear, so the file is mode 0600
  api_secret   text    not null,
  -- live: Agora's requests; test: the operator's own, kept apart from Agora's
  purpose      text    not null check (purpose in ('live', 'test')),
  created_at_s integer not null,                                         -- seconds
  -- seconds; null while requests signed with it are accepted
  revoked_at_s integer,
  -- by whom it was added, as in event; null where an earlier version did not keep it
  created_by   text,
  -- by whom it was revoked; null too where an earlier version did not keep it
  revoked_by   text
) strict;

-- Price plans, by Agora's planId and date: append-only. A plan's first version holds for all
-- time, or from the month after
-- those that were billed. In force in a month is the version with the greatest from_s not after
-- its first second, of equal
-- ones the latest.
create table plan_version (
  -- order of writing, from 1
  seq     integer primary key,
  -- 1 to 16 characters; 'default' prices those who name no plan
  plan_id text    not null check (length(plan_id) between 1 and 16),
  -- seconds; the first second of the month from which it holds; 0: for all time
  from_s  integer not null,
  -- as it stands in descriptions, e.g. Standard
  name    text    not null,
  -- one unit of usage, in words, e.g. Minute
  unit    text    not null,
  -- what a month costs, in the currency agreed with Agora: parts, allowance and minimum, as in
  -- 'flat 10 + graduated 1000:0.01,rest:0.005 free 100 minimum 20'; one text, since it is only read
  -- whole
  price   text    not null,
  -- seconds; when it was set; 0 where books of an earlier version did not tell
  at_s    integer not null,
  actor   text    not null                                                   -- by whom, as in event
) strict;
create index plan_version_by_plan on plan_version (plan_id);

create trigger plan_version_is_not_changed before update on plan_version
begin
  select raise(abort, 'prices are only added: one is not changed');
end;
create trigger plan_version_is_not_deleted before delete on plan_version
begin
  select raise(abort, 'prices are only added: one is not deleted');
end;

-- Agora's users who activated the extension.
create table customer (
  customer_id     text    not null primary key,  -- Agora's id
  -- the plan that was named last for the customer; null: the plan 'default'. Bills go by
  -- customer_plan. Not a reference: a plan may be named before it is set up
  plan_id         text,
  name            text,                          -- contact, as announced; null where never told
  email           text,                          -- contact
  phone           text,                          -- contact
  first_seen_at_s integer not null,              -- seconds; when this row was made
  -- seconds; when the account was first announced; null where only a record or a license has named
  -- it
  announced_at_s  integer,
  -- seconds; when the account was deactivated; null while it is active
  deactivated_at_s integer
) strict, without rowid;

-- Agora's projects. A project that nobody announced is made by its first record, so that no
-- usage is refused.
create table project (
  -- its number in these books, from 1: stands for its id in the ledger and its sums, where a
  -- million ids would take the most room
  project_no      integer primary key,
  project_id      text    not null unique,                 -- Agora's id
  -- as was said last, null where nobody has; usage goes by project_customer
  customer_id     text    references customer,
  first_seen_at_s integer not null,                        -- seconds; when this row was made
  -- with the secret, what the vendor's backend knows the project's calls by; null until Agora
  -- creates the project
  app_key         text,
  -- never changed once made: a resent call must be answered alike
  app_secret      text,
  check ((app_key is null) = (app_secret is null))
) strict;
create index project_by_customer on project (customer_id);

-- The plans named for customers, by date: append-only. From when the first one of a customer
-- holds, and which one is in
-- force in a month, is as for plan_version.
create table customer_plan (
  seq         integer primary key,                    -- order of writing, from 1
  customer_id text    not null references customer,   -- the customer
  plan_id     text    not null,                       -- the plan; not a reference, as in customer
  -- seconds; the first second of the month from which it holds; 0: for all time
  from_s      integer not null,
  -- seconds; when it was said; of books of an earlier version, when the customer was first heard of
  at_s        integer not null,
  actor       text    not null                        -- by whom, as in event
) strict;
create index customer_plan_by_customer on customer_plan (customer_id);

create trigger customer_plan_is_not_changed before update on customer_plan
begin
  select raise(abort, 'plans of customers are only added: one is not changed');
end;
create trigger customer_plan_is_not_deleted before delete on customer_plan
begin
  select raise(abort, 'plans of customers are only added: one is not deleted');
end;

-- The customers of projects, by date: append-only, and in force as in customer_plan.
create table project_customer (
  seq         integer primary key,                                -- order of writing, from 1
  project_id  text    not null references project (project_id),   -- the project
  customer_id text    not null references customer,               -- the customer
  -- seconds; the first second of the month from which it holds; 0: for all time
  from_s      integer not null,
  -- seconds; when it was said; of books of an earlier version, when the project was first heard of
  at_s        integer not null,
  actor       text    not null                                    -- by whom, as in event
) strict;
create index project_customer_by_project on project_customer (project_id);

create trigger project_customer_is_not_changed before update on project_customer
begin
  select raise(abort, 'customers of projects are only added: one is not changed');
end;
create trigger project_customer_is_not_deleted before delete on project_customer
begin
  select raise(abort, 'customers of projects are only added: one is not deleted');
end;

-- When the extension was enabled for a project; `totalSize` counts the projects enabled within a
-- window.
create table project_enablement (
  project_id text    not null references project (project_id),                -- the project
  -- seconds; the first second it was enabled
  from_s     integer not null,
  -- seconds; the last second it was enabled; null: still is
  until_s    integer check (until_s >= from_s),
  primary key (project_id, from_s)
) strict, without rowid;
-- At most one open stretch for a project.
create unique index project_enabled_now on project_enablement (project_id) where until_s is null;

-- What was changed of customers and projects: append-only. Holds the names of fields; of their
-- values ids of plans and customers alone, since accounts are deleted and events are not.
create table event (
  seq         integer primary key,                            -- order of writing, from 1
  at_s        integer not null,                               -- seconds; when
  -- 'agora'; 'test', a request signed with a test pair; or 'shell:' and the user's name
  actor       text    not null,
  -- whose account or project it is; null where nobody has said
  customer_id text    references customer,
  -- the project; null where it is about the account
  project_id  text    references project (project_id),
  change      text    not null check (change in (
    'registered', 'announced', 'changed', 'deactivated', 'reactivated', 'forgotten', 'enabled',
    'disabled', 'bound', 'moved', 'left', 'keyed'
  )),
  -- names of the fields that got another value, joined by commas; may be empty
  fields      text    not null,
  -- of the field planId or customerId: the id before; null where there was none, and in events of
  -- an earlier version
  was         text,
  -- the id from then on
  became      text,
  check (customer_id is not null or project_id is not null)
) strict;
create index event_by_customer on event (customer_id);
create index event_by_project on event (project_id) where project_id is not null;

create trigger event_is_not_changed before update on event
begin
  select raise(abort, 'events are only added: one is not changed');
end;
create trigger event_is_not_deleted before delete on event
begin
  select raise(abort, 'events are only added: one is not deleted');
end;

-- Who writes the usage ledger: an entry holds a number in the place of a name.
create table actor (
  actor_no    integer primary key,    -- from 1, which takes no room in an entry
  actor       text not null,          -- as in event
  -- the system's number of a user of the shell, by which the name is not looked up again; null for
  -- all others
  user_number text,
  unique (user_number, actor)
) strict;

create trigger actor_is_not_changed before update on actor
begin
  select raise(abort, 'an actor is not changed: entries of the ledger tell who wrote them');
end;

-- The usage ledger: append-only, the one source of every sum.
create table usage_ledger (
  -- order of writing, from 1, never reused (nothing is ever deleted)
  seq           integer primary key,
  -- idempotency key, 1 to 128 bytes; null on a reversing entry
  record_id     text unique check (length(record_id) between 1 and 128),
  project_no    integer not null references project,                      -- whose usage it is
  -- seconds; when it was used: decides which window it falls in
  at_s          integer not null,
  -- decimal, in the plan's unit; above zero, and below it on a reversing entry
  amount        text    not null,
  -- decimal; the part of the amount that licenses covered as it was written, of the same sign; what
  -- is left is billed; null where they covered nothing
  covered       text    check (covered <> '0'),
  -- seconds; when it was written here: what was known at a moment can be told later
  recorded_at_s integer not null,
  -- the entry that this one takes back; null on a record
  reverses_seq  integer references usage_ledger,
  -- 0: the first entry of its project in its second; 1: a further one, whose sums are in the rollup
  -- by second
  in_crowd      integer not null check (in_crowd in (0, 1)),
  -- the operator's words; on a reversing entry the reason
  note          text,
  -- who wrote it; null where an earlier version did not keep it
  actor_no      integer references actor,
  -- an entry is either a record or a reversal
  check ((record_id is null) = (reverses_seq is not null)),
  -- a reversal is never the first: its record is there
  check (reverses_seq is null or in_crowd = 1)
) strict;
-- The ragged ends of a window; whole hours, days and months come from the rollup. One entry a
-- project and
-- second, so that an end costs no more where a million records are dated alike (a day's noon, say).
create unique index usage_ledger_by_time on usage_ledger (at_s, project_no) where in_crowd = 0;
-- The further records of a project and second, so that a list finds them by their time too.
create index usage_ledger_crowd on usage_ledger (at_s, project_no)
where in_crowd = 1 and record_id is not null;
-- The records that were taken back, by their time.
create index usage_ledger_void on usage_ledger (at_s, project_no) where reverses_seq is not null;
-- A record is taken back once.
create unique index usage_ledger_reversal on usage_ledger (reverses_seq)
where reverses_seq is not null;

create trigger usage_ledger_is_not_changed before update on usage_ledger
begin
  select raise(abort, 'the usage ledger only grows: an entry is not changed');
end;
create trigger usage_ledger_is_not_deleted before delete on usage_ledger
begin
  select raise(abort, 'the usage ledger only grows: an entry is not deleted');
end;

-- Sums of the ledger, written in the transaction that writes the entry; derived, and recomputed
-- by `check`.
-- By hour, day and month of all entries; by second of those in a crowd alone, since most seconds
-- have none.
-- Keyed so that a whole hour, day or month is one ordered range read: a window's cost grows with
-- projects, never with records.
create table usage_rollup (
  -- length of the stretch, UTC calendar: 0 hour, 1 day, 2 month, 3 second; 0 and 1 take no room in
  -- a row, and most rows are of hours
  grain      integer not null check (grain between 0 and 3),
  start_s    integer not null,                                -- seconds; its first second
  project_no integer not null references project,             -- whose usage it is
  -- decimal; sum of the entries' amounts in the stretch, reversals included
  amount     text    not null,
  -- decimal; sum of the entries' covered parts; null where it is zero
  covered    text    check (covered <> '0'),
  records    integer not null,                                -- records less reversals
  primary key (grain, start_s, project_no)
) strict, without rowid;

-- Licenses sold to customers. What changes of one is kept from its ledger, and recomputed by
-- `check`.
create table license (
  seq           integer primary key,                   -- order of issue, from 1
  -- the operator's id, or one made as it was issued
  license_id    text    not null unique,
  customer_id   text    not null references customer,  -- whose license it is
  -- which of the vendor's licenses; null where not told. Not a reference: one may be sold before it
  -- is set up
  type          text,
  -- what it is good for, as Agora joins them: android|ios; null where not told
  platforms     text,
  issued_at_s   integer not null,                      -- seconds
  -- what was asked for as it was issued, as JSON: issuing it again must ask for the same
  asked         text    not null,
  -- seconds; the first second in which it is good
  starts_at_s   integer not null,
  -- seconds; the last second in which it is good; kept
  expires_at_s  integer not null,
  -- decimal, units of usage it grants, adjustments included; null: unlimited; kept
  granted       text,
  -- decimal, what is left of them, zero or above; null: unlimited; kept
  balance       text,
  revoked_at_s  integer,                               -- seconds; null unless revoked; kept
  check ((granted is null) = (balance is null))
) strict;
create index license_by_customer on license (customer_id);
-- What usage may draw from, in the order in which it does; a license that is used up costs a record
-- nothing. A revoked one is among them: it covers usage of the time before it was revoked, whenever
-- that is recorded.
create index license_to_draw on license (customer_id, expires_at_s) where balance is not '0';

create trigger license_stays_what_it_is
before update of
  seq, license_id, customer_id, type, platforms, issued_at_s, asked, starts_at_s
on license
begin
  select raise(abort, 'a license stays what it was issued as: only its ledger changes it');
end;
create trigger license_is_not_deleted before delete on license
begin
  select raise(abort, 'a license is not deleted: it is revoked');
end;

-- The license ledger: append-only, the source of every license's expiry, grant and balance.
create table license_ledger (
  seq          integer primary key,                    -- order of writing, from 1
  license_seq  integer not null references license,    -- whose entry it is
  at_s         integer not null,                       -- seconds; when it was written
  kind         text    not null check (kind in (
    'issued', 'extended', 'adjusted', 'consumed', 'drawn', 'given back', 'revoked', 'reinstated'
  )),
  -- decimal; what it adds to the balance: below zero on consumed and drawn; null where it adds
  -- nothing, or an unlimited license was issued
  amount       text,
  -- seconds; the expiry from now on; null unless issued or extended
  expires_at_s integer,
  -- the usage that drew it, or the reversal that gave it back; null on others
  usage_seq    integer references usage_ledger,
  -- by whom, as in event; null on what usage does by itself
  actor        text,
  reason       text,                                   -- the operator's words, if any
  -- the operation it belongs to, if that was named
  op_id        text,
  check ((usage_seq is not null) = (kind in ('drawn', 'given back'))),
  check ((actor is null) = (kind in ('drawn', 'given back'))),
  check ((expires_at_s is not null) = (kind in ('issued', 'extended'))),
  check (case kind
    when 'issued' then amount is null or amount > '0'
    when 'adjusted' then coalesce(amount, '0') <> '0'
    when 'consumed' then coalesce(amount, '0') like '-%'
    when 'drawn' then coalesce(amount, '0') like '-%'
    when 'given back' then coalesce(amount, '0') > '0'
    else amount is null
  end)
) strict;
create index license_ledger_by_license on license_ledger (license_seq);
create index license_ledger_by_usage on license_ledger (usage_seq) where usage_seq is not null;
create index license_ledger_by_operation on license_ledger (op_id) where op_id is not null;

create trigger license_ledger_is_not_changed before update on license_ledger
begin
  select raise(abort, 'the license ledger only grows: an entry is not changed');
end;
create trigger license_ledger_is_not_deleted before delete on license_ledger
begin
  select raise(abort, 'the license ledger only grows: an entry is not deleted');
end;

-- The operations on licenses that were named by whoever asked for them, so that none is done twice.
-- What was asked for is a JSON object of the operation's content, here and in license (see
-- src/store/license/content.rs). Rows of before hold the words of the command line of then.
create table license_operation (
  op_id text    not null primary key,  -- the operation's idempotency key, 1 to 128 bytes
  at_s  integer not null,              -- seconds; when it was done
  asked text    not null               -- what was asked for, as JSON
) strict, without rowid;

-- What the vendor's types of licenses grant when one is activated or issued.
create table license_type (
  type    text not null primary key,  -- Agora's name of it, 1 to 32 characters
  name    text,                       -- the operator's words for it
  granted text                        -- decimal, units of usage; null: unlimited
) strict, without rowid;

-- What Agora was told: each usage or bill answer whose last page went out to a live key. The
-- same answer again is
-- counted. Append-only but for that.
create table statement (
  -- order of keeping, from 1
  seq              integer primary key,
  -- which listing it was
  kind             text    not null check (kind in ('usage', 'bill')),
  -- seconds; the window's first
  first_s          integer not null check (first_s >= 0),
  -- seconds; the window's last, which it holds
  last_s           integer not null check (last_s >= first_s),
  -- seconds; when page 1 was first asked for
  first_asked_at_s integer not null,
  -- seconds; when its last page last went out
  last_asked_at_s  integer not null check (last_asked_at_s >= first_asked_at_s),
  -- how often its last page went out
  asked            integer not null check (asked >= 1),
  -- the last entry of the usage ledger that it was made from; 0: there was none
  knew_seq         integer not null check (knew_seq >= 0),
  -- the last entry with which it still was the answer: what is dated in its window and written
  -- later is late
  last_knew_seq    integer not null check (last_knew_seq >= knew_seq),
  -- 1: the window was not over when it was asked for, so that nothing is late for it. The bill
  -- of a calendar month is not
  -- provisional on the month's last day either.
  provisional      integer not null check (provisional in (0, 1)),
  -- 1: it is a month's bill that tells something of earlier months
  adjusts          integer not null check (adjusts in (0, 1)),
  -- decimal; the sum of what was told: usage in the plans' units, or money
  total            text    not null,
  total_size       integer not null,                                            -- totalSize as told
  -- SHA-256 of the answer: tells whether the next one is the same
  digest           blob    not null check (length(digest) = 32),
  check (provisional = (first_asked_at_s <= last_s) or kind = 'bill'),
  check (provisional = 0 or first_asked_at_s <= last_s)
) strict;
create index statement_by_window on statement (kind, last_s, first_s);

create trigger statement_stays_what_was_told
before update of
  seq, kind, first_s, last_s, first_asked_at_s, knew_seq, provisional, adjusts, total, total_size,
  digest
on statement
begin
  select raise(abort, 'a statement stays what was told: it is only counted how often');
end;
create trigger statement_is_counted_upwards
before update on statement
when new.asked < old.asked
  or new.last_asked_at_s < old.last_asked_at_s
  or new.last_knew_seq < old.last_knew_seq
begin
  select raise(abort, 'a statement is counted upwards');
end;
create trigger statement_is_not_deleted before delete on statement
begin
  select raise(abort, 'what was told is not deleted');
end;

-- What a statement said of each project, and what a bill was made from. One document a statement:
-- it is only read whole, and it is on disk in one small write.
create table statement_entries (
  statement_seq integer primary key references statement,  -- the statement
  -- Compressed with zstd: a JSON object a line, in the order of project ids, with projectId,
  -- and amount (decimal: usage, or
  -- money) and description as sent, none on a project that a bill left out. Of a bill also
  -- usage in the window; covered, the
  -- part of it that licenses covered; unpriced, where it was left out for want of a price;
  -- rest, what of the own part waits;
  -- adjustments, each an array of the earlier month's first second, the money told of it, and
  -- what waits (null: not known)
  entries       blob    not null
) strict;

create trigger statement_entries_are_not_changed before update on statement_entries
begin
  select raise(abort, 'what was told is not changed');
end;
create trigger statement_entries_are_not_deleted before delete on statement_entries
begin
  select raise(abort, 'what was told is not deleted');
end;

-- What Agora has been told of each month beside the month's own bill, and what is due of it: the
-- money side of the statements. A row for each month that has a kept bill, rewritten in the
-- transaction that keeps a bill that speaks of the month. Derived, and recomputed by `check`.
create table balance (
  month_s     integer primary key,                             -- seconds; the month's first
  -- the last statement that changed what is told of the month
  kept_seq    integer not null references statement,
  -- 1: something is due of some project, or it has no price
  waiting     integer not null check (waiting in (0, 1)),
  -- Compressed with zstd: a line for each project of which the month's own bill does not tell all,
  -- in the order of project ids, with three words between spaces: the id; what later bills tell;
  -- what the month costs less all that is told, '?' without a price. Of a project that has a mark
  -- the last is not known
  balances    blob    not null
) strict;

-- Of whom it is not known what is due of a month: written in the transaction that changes what the
-- month costs, or keeps a bill of it (see src/store/balance/mark.rs). A bill prices these projects.
-- The server does it too, writes down what is due, and deletes the mark.
create table mark (
  -- order of writing, from 1, never reused: a mark that is written again has a new number
  seq        integer primary key autoincrement,
  month_s    integer not null,                   -- seconds; the month's first
  project_no integer not null,                   -- whose; 0: everybody's
  unique (month_s, project_no)
) strict;

-- What the pages of a usage or bill answer are cut from. Page 1 leaves it, so that later pages
-- go on
-- after a restart and from another server. Page 1 asked anew replaces it; it is dropped after a
-- day.
create table snapshot (
  kind       text    not null check (kind in ('usage', 'bill')),  -- which listing it is
  first_s    integer not null,  -- seconds; the window's first
  last_s     integer not null,  -- seconds; the window's last, which it holds
  api_key    text    not null,  -- the key that page 1 was signed with
  number     integer not null,  -- tells it apart from others of its window, kind and key; never 0
  asked_at_s integer not null,  -- seconds; when page 1 was asked for
  -- the state of the books that it says: a JSON object, the order of writing of ledger entries,
  -- terms and statements by their last numbers
  made_of    text    not null,
  entries    blob    not null,  -- as in statement_entries
  primary key (kind, first_s, last_s, api_key)
) strict;

-- Up to where each month's usage is written: what a bill knew tells by it whether anything was
-- recorded or taken back since.
-- Derived, and recomputed by `check`.
create table usage_month (
  month_s  integer primary key,  -- seconds; the month's first
  last_seq integer not null      -- the last entry of the usage ledger that is dated in it
) strict;

//! What is to be set up: given by flags, or asked for.

use crate::billing::amount::Amount;
use crate::billing::id::{ApiKey, Label};
use crate::billing::price::{Part, Price};
use crate::cli::acme::Host;
use crate::cli::failure::Failure;
use crate::cli::plan_file;
use crate::cli::secret;
use crate::cli::serve::Listen;
use crate::cli::setup::ask::{ask, explain, stopped};
use crate::cli::setup::books::{BooksState, Order};
use crate::cli::setup::configuration::{Connections, Way};
use crate::cli::setup::flags::{Args, TlsArg};
use std::path::{Path, PathBuf};

/// What was answered. What was not asked for stays as it is.
pub(super) struct SetupAnswers {
    pub(super) order: Order,
    pub(super) connections: Connections,
}

/// The answers that the flags are; else the questions' own, where they may be asked.
pub(super) fn gather(
    args: &Args,
    standing: &BooksState,
    before: Option<&Connections>,
    asks: bool,
) -> Result<SetupAnswers, Failure> {
    let pair = pair(args, asks && !standing.exists)?;
    let connections = connect(args, before, asks)?;
    let late = match args.late {
        Some(late) => Some(late.as_str().to_owned()),
        None if asks => Some(ask_late(standing)?),
        None => None,
    };
    let plan = match &args.plan {
        Some(name) => Some((name.clone(), args.unit.clone(), args.price.read()?)),
        None if asks && standing.plan.is_none() => ask_plan()?,
        None => None,
    };
    let plan = plan.map(|(name, unit, price)| {
        let unit = unit.unwrap_or_else(|| "Minute".parse().expect("a word is a label"));
        plan_file::document(&name, &unit, &price)
    });
    let tls_files = match &connections.way {
        Way::Files(certificate, key) if before != Some(&connections) => {
            Some((certificate.clone(), key.clone()))
        }
        Way::Files(..) | Way::Proxy | Way::Acme => None,
    };
    let order = Order { create: true, pair, late, plan, tls_files };
    Ok(SetupAnswers { order, connections })
}

fn pair(args: &Args, asks: bool) -> Result<Option<(String, String)>, Failure> {
    if let Some((api_key, api_secret)) = args.pair.read_both()? {
        return Ok(Some((api_key.to_string(), api_secret.reveal().to_owned())));
    }
    if !asks {
        return Ok(None);
    }
    explain(
        "Key pair. Agora signs each request with an apiKey and its secret. If Agora gave you a\n\
         pair, type its apiKey. Else one is made, and you give it to Agora.",
    );
    let api_key = ask("apiKey", Some("make one"), |answer| match answer {
        "make one" => Ok(None),
        given => given.parse::<ApiKey>().map(Some).map_err(|error| error.to_string()),
    })?;
    let Some(api_key) = api_key else { return Ok(None) };
    let api_secret = secret::ask("its apiSecret")?.ok_or_else(stopped)?;
    Ok(Some((api_key.to_string(), api_secret.reveal().to_owned())))
}

/// How Agora reaches the server.
fn connect(args: &Args, before: Option<&Connections>, asks: bool) -> Result<Connections, Failure> {
    let way_before = before.map(|before| before.way.clone());
    let kind = match args.tls {
        Some(kind) => Some(kind),
        None if args.tls_cert.is_some() => Some(TlsArg::Files),
        None if asks => Some(ask_tls(way_before.as_ref())?),
        None => None,
    };
    let way = match (kind, args.tls_cert.clone().zip(args.tls_key.clone()), way_before) {
        (Some(TlsArg::Acme), ..) => Way::Acme,
        (Some(TlsArg::Proxy), ..) => Way::Proxy,
        (Some(TlsArg::Files), Some((certificate, key)), _) => {
            Way::Files(absolute(&certificate)?, absolute(&key)?)
        }
        (Some(TlsArg::Files), None, before) => ask_files(before.as_ref(), asks)?,
        (None, _, before) => before.unwrap_or(Way::Proxy),
    };
    let host_before = before.and_then(|before| before.host.clone());
    let host = match &args.host {
        Some(host) => Some(host.to_string()),
        None if asks => {
            Some(ask_host(&way, host_before.as_deref())?).filter(|host| !host.is_empty())
        }
        None => host_before,
    };
    if way == Way::Acme && host.is_none() {
        return Err(Failure::words(
            "--tls acme needs --host HOST: the name that the certificate is for",
        ));
    }
    let is_as_before = before.is_some_and(|before| before.way.as_str() == way.as_str());
    let listen_before = before.filter(|_| is_as_before).map(|before| before.listen.clone());
    let listen = args.listen.as_ref().map(Listen::to_string).or(listen_before);
    let listen = listen.unwrap_or_else(|| way.usual_address().to_owned());
    Ok(Connections { way, host, listen })
}

fn ask_tls(before: Option<&Way>) -> Result<TlsArg, Failure> {
    explain(
        "TLS. Agora speaks HTTPS. Who has the certificate?\n\
         proxy  a proxy such as Caddy on this machine; this server listens on loopback alone\n\
         acme   this server: it gets one from Let's Encrypt, whose terms of service you agree to\n\
        \x20      by this, and listens on port 443; the host's address must be this machine's\n\
         files  this server, by two files that you renew; it listens on port 443",
    );
    ask("TLS by proxy, acme or files", Some(before.map_or("proxy", Way::as_str)), |answer| {
        match answer {
            "proxy" => Ok(TlsArg::Proxy),
            "acme" => Ok(TlsArg::Acme),
            "files" => Ok(TlsArg::Files),
            _ => Err("answer proxy, acme or files".to_owned()),
        }
    })
}

fn ask_files(before: Option<&Way>, asks: bool) -> Result<Way, Failure> {
    if let (Some(files @ Way::Files(..)), false) = (before, asks) {
        return Ok(files.clone());
    }
    if !asks {
        return Err(Failure::words("--tls files needs --tls-cert F and --tls-key F"));
    }
    let before = match before {
        Some(Way::Files(certificate, key)) => [certificate, key].map(|file| file.to_str()),
        Some(Way::Proxy | Way::Acme) | None => [None, None],
    };
    let file = |what, before| {
        ask(what, before, |answer| {
            let path = absolute(Path::new(answer)).map_err(|failure| failure.to_string())?;
            path.is_file().then_some(path).ok_or_else(|| "there is no such file".to_owned())
        })
    };
    let [certificate, key] = before;
    Ok(Way::Files(
        file("PEM file of the certificate, with those that sign it", certificate)?,
        file("PEM file of its key", key)?,
    ))
}

fn ask_host(way: &Way, before: Option<&str>) -> Result<String, Failure> {
    explain("Host name. Under which name does Agora reach this server?");
    let is_needed = *way == Way::Acme;
    let default = before.or((!is_needed).then_some("not known yet"));
    ask("Host, such as extension.example.com", default, |answer| match answer {
        "not known yet" if !is_needed => Ok(String::new()),
        answer => {
            let hosts = answer.split(',').map(|host| host.trim().parse::<Host>());
            let hosts: Vec<Host> = hosts.collect::<Result<_, _>>().map_err(str::to_owned)?;
            let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
            Ok(hosts.join(","))
        }
    })
}

fn ask_late(standing: &BooksState) -> Result<String, Failure> {
    explain(
        "Late usage is usage that you record after Agora has asked for its month's bill.\n\
         report  it is listed for you, and no bill has its price: that money is lost, unless\n\
        \x20       Agora asks for the month again\n\
         carry   the next month's bill has its price as well: the customer pays it a month later",
    );
    let default = if standing.exists { standing.late.as_str() } else { "report" };
    ask("Late usage: report or carry", Some(default), |answer| match answer {
        "report" | "carry" => Ok(answer.to_owned()),
        _ => Err("answer report or carry".to_owned()),
    })
}

type PlanTerms = (Label, Option<Label>, Price);

fn ask_plan() -> Result<Option<PlanTerms>, Failure> {
    explain(
        "Price. Without one Agora is told the usage, and no bill asks for money. Name a plan and\n\
         its price for a unit here; `plan set` knows fees, tiers and packages as well.",
    );
    let label = |answer: &str| answer.parse::<Label>().map_err(|error| error.to_string());
    let name = ask("Name of the plan, such as Standard", Some("no plan yet"), |answer| {
        if answer == "no plan yet" { Ok(None) } else { label(answer).map(Some) }
    })?;
    let Some(name) = name else { return Ok(None) };
    let unit = ask("One unit of usage in a word", Some("Minute"), label)?;
    let price = ask(&format!("Price of one {unit}, such as 0.01"), None, |answer| {
        let each = answer.parse::<Amount>().map_err(|error| error.to_string())?;
        Price::new(vec![Part::PerUnit(each)], Amount::default(), Amount::default())
            .map_err(|error| error.to_string())
    })?;
    Ok(Some((name, Some(unit), price)))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::failed(format!("{} is no path: {error}", path.display())))
}

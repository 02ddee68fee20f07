"""Words of the built-in corpus: what fills the slots of synthetic_grammar.txt. Insults are mild, groups invented."""

INSULTS = (
    "numpty", "blockhead", "idiot", "nitwit", "dimwit", "dunce", "clown", "muppet", "twit", "buffoon", "halfwit",
    "fool", "donkey", "pinhead", "bonehead", "dolt", "simpleton", "doofus", "wally", "plonker",
)  # fmt: skip
SWEARS = ("darn", "dang", "blasted", "flipping", "freaking", "frigging", "cruddy", "crappy", "ruddy", "stinking")
HARMS = ("kill", "crush", "smash", "destroy", "bury", "flatten", "punch", "hit", "break", "burn", "hurt", "end")
HELPS = ("help", "thank", "visit", "call", "greet", "meet", "praise", "join", "invite", "support", "trust", "feed")
SCORNS = ("a plague", "a disgrace", "filth", "vermin", "garbage", "a curse", "poison", "trash", "a pest", "scum")
EXPULSIONS = ("banned", "thrown out", "locked away", "kept out", "swept away", "driven off", "removed", "chased off")
PRAISES = ("kind", "helpful", "clever", "patient", "brilliant", "careful", "friendly", "polite", "honest", "funny")
HEROES = ("hero", "legend", "star", "gem", "champion", "treasure", "genius", "friend", "wonder", "master")
BELONGINGS = ("opinions", "edits", "ideas", "comments", "hands", "jokes", "posts", "notes", "plans", "rules")
DETERMINERS = ("the", "the", "the", "this", "my", "that")

# Sentences open with one of these at times, so that no word has a fixed place.
OPENERS = (
    "well,", "listen,", "honestly,", "hey {name},", "look,", "okay,", "sorry, but", "by the way,", "to be clear,",
    "so,", "oh,", "for the record,", "as I said,", "anyway,", "good morning,", "really,",
)  # fmt: skip

# Words of these lists are partly the test set's alone: (everywhere, only in validation and test).
GROUPS = (
    ("Zorvians", "left-handers", "Mundlings", "tea drinkers", "moon people", "islanders", "night owls", "Velmarans",
     "accordion players", "hill folk", "early risers", "Quillers"),
    ("Brindlers", "spoon collectors"),
)  # fmt: skip
NUISANCES = (
    ("spam bots", "pop-up ads", "broken links", "chain letters", "fake accounts", "cookie banners", "dead pages"),
    ("junk mails",),
)
NOUNS = (
    ("build", "process", "server", "cache", "branch", "test", "page", "draft", "printer", "laptop", "article", "table",
     "script", "parser", "template", "bike", "kettle", "old bridge", "garden gate", "wiki", "form", "map", "radio"),
    ("router", "essay", "ladder", "calendar"),
)  # fmt: skip
NAMES = (
    ("Sam", "Priya", "Otto", "Lena", "Kofi", "Maya", "Ivan", "Rosa", "Tariq", "Wendy", "Bao", "Nils", "Carla", "Femi"),
    ("Hugo", "Aiko", "Dora"),
)
PERSONS = (
    ("my boss", "the admin", "a visitor", "some guy", "my uncle", "that editor", "the new user", "a neighbour",
     "the teacher", "one reader", "a stranger", "the coach", "my sister"),
    ("the mayor", "a student"),
)  # fmt: skip

# {thing} is not here: it is a determiner and a noun.
SLOTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "insult": (INSULTS, ()),
    "swear": (SWEARS, ()),
    "harm": (HARMS, ()),
    "help": (HELPS, ()),
    "scorn": (SCORNS, ()),
    "expel": (EXPULSIONS, ()),
    "praise": (PRAISES, ()),
    "hero": (HEROES, ()),
    "belongings": (BELONGINGS, ()),
    "groups": GROUPS,
    "nuisance": NUISANCES,
    "noun": NOUNS,
    "name": NAMES,
    "person": PERSONS,
}
DISGUISABLE = {"insult", "swear"}

"""Booru tag → what it talks about: the small visible word lists behind captions and attributes.

Tags are Danbooru's (lower case, underscores). The lists hold what is common in anime footage, not everything that exists; a tag that
stands nowhere is `other` and stays in the caption. The families (by last word) follow how Danbooru forms its names, so `blue_dress` and
`wedding_dress` are both dresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from animeset_lib.words.spelling import is_emoticon

__all__ = [
    "CATEGORIES",
    "CORE_CATEGORIES",
    "SOLO",
    "TRAIT_CATEGORIES",
    "UNKNOWN",
    "background_of",
    "category_of",
    "emotion_of",
    "is_accessory",
    "outfit_of",
    "view_of",
]

CATEGORIES = (
    "people",
    "hair",
    "eyes",
    "body",
    "outfit",
    "emotion",
    "pose",
    "framing",
    "background",
    "other",
)
"""Every tag is in exactly one of them."""

CORE_CATEGORIES = ("hair", "eyes", "body")
"""Where a constant tag belongs to the character itself. Clothes and poses never do, however constant they are in one film."""

TRAIT_CATEGORIES = (*CORE_CATEGORIES, "outfit")
"""What a figure looks like, as far as it does not change from one moment to the next."""

SOLO = "solo"
UNKNOWN = "unknown"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PEOPLE = re.compile(
    r"\d\+?(girl|boy|other)s?|solo(_focus)?|(male|female|other)_focus|multiple_(girls|boys|others|people|faces)|no_humans|crowd|group|\d\+?(people|faces)"
)

_HAIR_LAST = _words(
    "hair bangs ponytail twintails braid braids bun buns ahoge sidelocks drill drills updo hairband hairclip hairpin "
    "headband sidetail undercut cornrows dreadlocks afro scrunchie mullet pompadour mohawk dreads topknot"
)
_HAIR_TAGS = _words(
    "bob_cut hime_cut pixie_cut bowl_cut side_ponytail one_side_up two_side_up bald hair_bun short_hair_with_long_locks colored_tips "
    "one_eye_covered blunt_ends crossed_bangs half_updo buzz_cut"
)
_EYES_LAST = _words("eyes pupils eyelashes eyeshadow eyeliner sclera iris eye")
_EYES_TAGS = _words("heterochromia tsurime tareme sanpaku jitome no_pupils eyepatch bags_under_eyes symbol_in_eye")
_NOBODYS = _words("pubic_hair female_pubic_hair male_pubic_hair swim_ring ceiling_fan rope chain heart_of_string")
"""They end like a trait or a garment and are none of the figure's."""
_BODY_LAST = _words(
    "ears tail tails wings wing horn horns halo fang fangs mole freckles scar skin tan beard mustache stubble goatee sideburns "
    "breasts chest muscles muscular markings tattoo whiskers antennae claws eyebrows abs nails lips lipstick makeup facepaint antlers scales fins "
    "piercing pectorals veins girl boy"
)
"""`cat_girl` and `wolf_boy` say what somebody is; `1girl` is caught before."""
_BODY_TAGS = _words(
    "facial_hair tanlines child aged_up aged_down old old_man old_woman tall petite robot android mature_female mature_male "
    "mole_under_eye mole_under_mouth mole_on_breast facial_mark forehead_mark dark-skinned_female dark-skinned_male scar_on_face "
    "scar_on_cheek scar_across_eye animal_ear_fluff nail_polish toenail_polish muscular_female sharp_teeth sharp_fingernails elf oni angel fairy "
    "vampire ghost demon cyborg mermaid dwarf goblin orc kemonomimi_mode furry furry_female furry_male mecha_musume body_fur third_eye "
    "faceless faceless_male faceless_female blush_stickers androgynous otoko_no_ko bishounen toned curvy plump thick_thighs wide_hips"
)

_OUTFIT_LAST = _words(
    "outfit "
    "uniform serafuku dress sundress gown kimono yukata hakama haori obi armor breastplate swimsuit bikini suit tuxedo maid apron robe "
    "robes cape cloak poncho coat trenchcoat labcoat jacket blazer hoodie sweater cardigan pullover shirt t-shirt blouse vest waistcoat "
    "skirt pants shorts jeans buruma leotard bodysuit jumpsuit overalls pajamas nightgown bathrobe leggings thighhighs kneehighs socks "
    "pantyhose gloves mittens gauntlets boots shoes sneakers loafers sandals slippers geta heels footwear hat cap beret helmet crown "
    "tiara hood scarf necktie bowtie neckerchief ribbon bow ascot collar sailor_collar glasses sunglasses goggles eyewear mask choker "
    "necklace pendant earrings bracelet ring jewelry belt sash sleeves sleeveless cuffs bag backpack headphones headwear headdress "
    "hair_ornament ornament veil underwear bra panties barefoot nude topless clothes costume cosplay wear gakuran "
    "miniskirt microskirt capelet turtleneck halterneck lingerie corset camisole petticoat bloomers shawl beanie bandana headgear headset "
    "headpiece circlet wreath earmuffs armband wristband watch wristwatch bangle anklet armlet bracer bracers vambraces pauldrons "
    "epaulettes brooch badge emblem bell tassel buckle suspenders harness holster pouch towel sarashi bandages bandaid bandana habit "
    "sportswear swimwear trim print frills lace polka_dot fishnets straps strap garter garters straps thighlet mary_janes tabi pads warmers wraps "
    "zipper buttons pocket cutout earring glove thighhigh sock shoe epaulette lapels drawstring fasteners bodystocking undershirt spats "
    "tracksuit jersey tunic tabard sarong bandeau thong swim_cap garb outfit attire"
)
_OUTFIT_TAGS = _words(
    "cleavage midriff underboob sideboob bare_shoulders bare_arms bare_legs bare_back off_shoulder strapless backless_outfit bottomless "
    "topless_male topless_female underwear_only zettai_ryouiki clothing_cutout shoulder_cutout cleavage_cutout hood_up hood_down unbuttoned "
    "unzipped skin_tight side_slit pelvic_curtain playboy_bunny magical_girl nontraditional_miko miko nun nurse cheerleader witch "
    "lolita_fashion gothic_lolita casual crossdressing bandaged_arm bandaged_leg bandaid_on_face double-breasted skirt_set tube_top "
    "jacket_on_shoulders clothes_around_waist goggles_on_head eyewear_on_head mask_on_head headphones_around_neck fur_trim ear_covers "
    "bun_cover shirt_tucked_in criss-cross_halter bikini_top_only spaghetti_strap o-ring id_card name_tag fake_animal_ears "
    "arm_warmers arm_strap leg_warmers leg_ribbon arm_ribbon arm_belt arm_guards hand_wraps randoseru"
)

_POSE = re.compile(
    r"(standing|sitting|lying|kneeling|running|walking|jumping|squatting|crouching|sleeping_upright|flying|falling|floating(?!_hair)|swimming|"
    r"dancing|fighting|bowing|stretching|reading|writing|eating|drinking|cooking|driving|riding)(_.+)?"
    r"|(looking|facing|holding|hand|hands|arm|arms|leg|legs|leaning|crossed|pointing|waving|reaching|carrying|hugging|own|spread|"
    r"outstretched|raised|adjusting|covering|on)_.+"
    r"|from_(behind|side|above|below|outside)|profile|head_(tilt|rest|down)|back-to-back|fighting_stance|salute|v|peace_sign|waving|"
    r"pointing|hug|kiss|seiza|wariza|all_fours|indian_style|bent_over|arched_back|clenched_hands?|double_v|thumbs_up|w|"
    r"(open|imminent|heart|finger|index|interlocked|knees?|feet|foot|paw|claw|finger_gun|gun|mouth)_(hands?|kiss|to_mouth|finger_raised|fingers|up|"
    r"together_feet_apart|pose|hold|gesture|hug)|[vw]_arms|straddling|upside-down|contrapposto|top-down_bottom-up|sideways_glance|eye_contact|"
    r"face-to-face|smoking|talking|singing|whispering|bathing|wading|tiptoes|battle|duel|attack|licking|biting|dual_wielding|shushing|shrugging|"
    r"headpat|selfie|princess_carry|piggyback|hug_from_behind|undressing|carrying|reaching|leg_lift|against_wall|under_covers|presenting|"
    r"invisible_chair|playing_.+|using_.+|being_.+|grabbing_.+|pulling_.+|lifting_.+|feeding|cuddling|stomping|kicking|punching|climbing|hiding"
)
_NO_POSE = _words(
    "hand_fan hand_mirror hand_puppet drinking_glass drinking_straw falling_petals falling_leaves falling_snow floating_object floating_island "
    "flying_sweatdrops crossed_bangs arm_tattoo leg_tattoo hand_tattoo arm_warmers arm_strap arm_ribbon arm_belt arm_guards arm_cannon "
    "leg_warmers leg_ribbon hand_wraps reading_glasses riding_crop on_fire"
)
"""They only begin like a pose."""
_HAIR_POSE = _words("hair_flip adjusting_hair holding_hair holding_own_hair hand_in_own_hair hands_in_hair")

_FRAMING = _words(
    "portrait close-up upper_body lower_body cowboy_shot full_body wide_shot very_wide_shot face head_only feet_out_of_frame "
    "head_out_of_frame cropped_torso cropped_legs dutch_angle fisheye perspective foreshortening pov eye_focus"
)

# The word to the right is the attribute. Where several apply, the best score wins; ties go to the first in this list.
_EMOTIONS: dict[str, str] = {
    "crying": "crying",
    "tears": "crying",
    "streaming_tears": "crying",
    "crying_with_eyes_open": "crying",
    "sobbing": "crying",
    "angry": "angry",
    "anger_vein": "angry",
    "rage": "angry",
    "glaring": "angry",
    "annoyed": "annoyed",
    "frown": "annoyed",
    "pout": "pout",
    "sad": "sad",
    "depressed": "sad",
    "scared": "scared",
    "fear": "scared",
    "horrified": "scared",
    "panicking": "scared",
    "trembling": "scared",
    "surprised": "surprised",
    "shocked": "surprised",
    "wide-eyed": "surprised",
    "nervous": "nervous",
    "worried": "nervous",
    "nervous_smile": "nervous",
    "sweatdrop": "nervous",
    "embarrassed": "embarrassed",
    "full-face_blush": "embarrassed",
    "shy": "embarrassed",
    "flustered": "embarrassed",
    "laughing": "laughing",
    "grin": "grin",
    "smirk": "smug",
    "smug": "smug",
    "evil_smile": "smug",
    "smile": "smile",
    "light_smile": "smile",
    "gentle_smile": "smile",
    "happy": "smile",
    ":d": "smile",
    ";d": "smile",
    "^_^": "smile",
    "screaming": "screaming",
    "shouting": "screaming",
    "clenched_teeth": "strained",
    "pain": "strained",
    "disgust": "disgust",
    "confused": "confused",
    "bored": "bored",
    "sleepy": "sleepy",
    "yawning": "sleepy",
    "sleeping": "sleeping",
    "serious": "serious",
    "determined": "serious",
    "expressionless": "expressionless",
}
# Words about a face that alone say no emotion.
_FACE = _words(
    "blush open_mouth closed_mouth parted_lips closed_eyes one_eye_closed half-closed_eyes empty_eyes rolling_eyes narrowed_eyes "
    "squinting light_blush light_frown saliva saliva_trail heavy_breathing naughty_face wince nervous_sweating flying_sweatdrops nosebleed "
    "chestnut_mouth split_mouth drunk licking_lips covered_mouth wavy_mouth tongue tongue_out teeth upper_teeth_only sweat drooling "
    "v-shaped_eyebrows furrowed_brow raised_eyebrow "
    "raised_eyebrows ahegao nose_blush triangle_mouth :o :q :p :3 ;) :< d: >_< @_@ o_o x_x +_+ =_= |_| ._. 0_0 3: :t :i ;o ;p xd"
)

# The word to the right is the view; several apply to one picture now and then, the best score wins.
_VIEWS: dict[str, str] = {
    "looking_at_viewer": "front",
    "facing_viewer": "front",
    "straight-on": "front",
    "from_side": "side",
    "profile": "side",
    "from_behind": "behind",
    "facing_away": "behind",
    "from_above": "above",
    "from_below": "below",
}

_OUTFITS: tuple[tuple[str, ...], ...] = (
    # A whole costume says more than the garments it is made of, a top more than what goes with it.
    (
        "school_uniform",
        "serafuku",
        "gakuran",
        "gym_uniform",
        "military_uniform",
        "sailor_uniform",
        "uniform",
        "maid",
        "kimono",
        "yukata",
        "hakama",
        "armor",
        "swimsuit",
        "bikini",
        "wedding_dress",
        "dress",
        "sundress",
        "gown",
        "suit",
        "tuxedo",
        "bodysuit",
        "jumpsuit",
        "overalls",
        "leotard",
        "pajamas",
        "robe",
        "labcoat",
        "nude",
    ),
    ("coat", "jacket", "blazer", "hoodie", "cloak", "cape", "cardigan", "sweater", "vest"),
    ("t-shirt", "shirt", "blouse", "tank_top", "crop_top"),
)

_PLACES = (
    "classroom",
    "school",
    "hallway",
    "library",
    "bedroom",
    "kitchen",
    "bathroom",
    "living_room",
    "office",
    "restaurant",
    "cafe",
    "shop",
    "train_interior",
    "car_interior",
    "train_station",
    "stage",
    "gym",
    "rooftop",
    "street",
    "alley",
    "city",
    "cityscape",
    "town",
    "village",
    "bridge",
    "park",
    "garden",
    "forest",
    "mountain",
    "field",
    "grass",
    "desert",
    "beach",
    "ocean",
    "river",
    "lake",
    "underwater",
    "snow",
    "rain",
    "shrine",
    "temple",
    "castle",
    "ruins",
    "cave",
    "space",
)
_SIDES = ("indoors", "outdoors")
_SKIES = (
    "starry_sky",
    "night_sky",
    "sunset",
    "sunrise",
    "cloudy_sky",
    "blue_sky",
    "sky",
    "night",
    "twilight",
    "evening",
    "day",
)
_BACKGROUNDS: tuple[tuple[str, ...], ...] = (_PLACES, _SIDES, _SKIES)
_SCENERY = _words(
    "room interior exterior scenery nature tree trees leaf flower flowers cloud clouds sun moon full_moon star water wall window curtains "
    "door floor ceiling bed couch chair table desk chalkboard bookshelf building house fire lights lamp dark darkness dim_lighting "
    "bright backlighting sunlight light_rays lens_flare shade shadow bokeh blurry_background blurry_foreground depth_of_field "
    "speed_lines emphasis_lines motion_lines motion_blur cherry_blossoms petals falling_petals falling_leaves autumn_leaves fog smoke dusk dawn "
    "morning horizon road power_lines fence star_(sky) snowing falling_snow wind steam reflection ice sand rock bush branch plant potted_plant "
    "palm_tree bamboo vines pillow bed_sheet blanket bench railing stairs mirror clock lantern candle school_desk tatami wooden_floor "
    "tile_floor tiles torii architecture statue pillar chain_link_fence utility_pole lamppost sign car motor_vehicle train bus airplane "
    "aircraft watercraft ship boat light_particles sparkle glowing glint aura electricity magic explosion debris bubble air_bubble "
    "water_drop confetti "
    "fireworks on_fire floating_island floating_object crescent_moon red_moon aurora rainbow waves shore pool onsen bath poolside "
    "flowers rose crosswalk sidewalk corridor balcony veranda sliding_doors shouji ceiling_light spotlight stage_lights monitor television blackboard"
)
_CHATTER = re.compile(r"[.?!+^]+")
"""Marks drawn into the picture, which say nothing about a face, unlike other emoticons."""
_ACCESSORY_LAST = _words(
    "glasses sunglasses goggles eyewear monocle earring earrings piercing choker necklace pendant ornament hairband headband hairclip hairpin "
    "scrunchie headphones headset headgear headpiece headdress circlet tiara crown wreath hat cap beret beanie helmet bandana mask eyepatch "
    "bracelet bangle anklet ring watch wristwatch scarf brooch badge earmuffs"
)
_WORN_IN_HAIR = _words("ribbon bow flower tie bell bobbles rings tubes scrunchie stick ornament feather")
_WORN_ELSEWHERE = _words(
    "goggles_on_head eyewear_on_head mask_on_head headphones_around_neck neck_bell fake_animal_ears"
)


@lru_cache(maxsize=1 << 16)
def category_of(tag: str) -> str:
    """One of `CATEGORIES` for a booru tag."""
    words = tag.split("_")
    last = words[-1]
    if _PEOPLE.fullmatch(tag):
        return "people"
    if tag in _FRAMING:
        return "framing"
    if tag in _EMOTIONS or tag in _FACE:
        return "emotion"
    if tag in _NOBODYS:
        return "other"
    if tag in _HAIR_POSE or (tag not in _NO_POSE and _POSE.fullmatch(tag)):
        return "pose"
    if tag in _OUTFIT_TAGS:
        return "outfit"
    if (
        tag in _HAIR_TAGS
        or words[0] == "hair"
        or ("hair" in words and last in _WORN_IN_HAIR)
        or (last in _HAIR_LAST and tag != "facial_hair")
    ):
        return "hair"
    if tag in _EYES_TAGS or last in _EYES_LAST:
        return "eyes"
    if tag in _BODY_TAGS or last in _BODY_LAST:
        return "body"
    if last in ("background", "flower", "rose") or any(tag in tier for tier in _BACKGROUNDS) or tag in _SCENERY:
        return "background"
    if last in _OUTFIT_LAST or words[0] == "sleeves" or outfit_of({tag: 1.0}) != UNKNOWN:
        return "outfit"
    if tag and is_emoticon(tag) and not tag.isalnum() and not _CHATTER.fullmatch(tag):
        return "emotion"
    return "other"


def is_accessory(tag: str) -> bool:
    """Whether a tag names a thing that some characters wear always and others never: glasses, earrings, a ribbon in the hair, a hat."""
    words = tag.split("_")
    return category_of(tag) in TRAIT_CATEGORIES and (
        words[-1] in _ACCESSORY_LAST or ("hair" in words and words[-1] in _WORN_IN_HAIR) or tag in _WORN_ELSEWHERE
    )


def outfit_of(tags: Mapping[str, float]) -> str:
    """The clothes in one word, `unknown` when no tag names any. `blue_dress` counts as `dress`."""
    for tier in _OUTFITS:
        scores: dict[str, float] = {}
        for tag, score in tags.items():
            for garment in tier:
                if tag == garment or tag.endswith(f"_{garment}"):
                    scores[garment] = max(score, scores.get(garment, 0.0))
                    break
        if scores:
            return max(tier, key=lambda garment: scores.get(garment, -1.0))
    return UNKNOWN


def emotion_of(tags: Mapping[str, float]) -> str:
    """The facial expression in one word, `unknown` when no tag names one."""
    named = [tag for tag in _EMOTIONS if tag in tags]
    return _EMOTIONS[max(named, key=lambda tag: tags[tag])] if named else UNKNOWN


def view_of(tags: Mapping[str, float]) -> str:
    """From where the head is seen: `front`, `side`, `behind`, `above` or `below`; `unknown` when no tag says."""
    named = [tag for tag in _VIEWS if tag in tags]
    return _VIEWS[max(named, key=lambda tag: tags[tag])] if named else UNKNOWN


def background_of(tags: Mapping[str, float]) -> str:
    """Where the picture plays, the most telling that is known: place, indoors or outdoors, sky and time of day, plain colour; else `unknown`."""
    for tier in _BACKGROUNDS:
        named = [tag for tag in tier if tag in tags]
        if named:
            return max(named, key=lambda tag: tags[tag])
    plain = {tag: score for tag, score in tags.items() if tag.endswith("_background") and tag != "blurry_background"}
    # `white_background` says more than the `simple_background` that always stands beside it.
    return min(plain, key=lambda tag: (tag == "simple_background", -plain[tag], tag), default=UNKNOWN)

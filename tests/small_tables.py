"""Small files in the layouts of the known tables."""

from __future__ import annotations

from pathlib import Path

ADULT, ROWS = 285, 356  # after the usual splits 257 are left for training: whole batches and one
PEOPLE = ("State-gov", "?", "Private"), ("Bachelors", "HS-grad"), ("Never-married", "Divorced")
TITANIC = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"
HOUSES = "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,households,median_income"
WINE = (
    '"fixed acidity";"volatile acidity";"citric acid";"residual sugar";"chlorides";"free sulfur dioxide";'
    '"total sulfur dioxide";"density";"pH";"sulphates";"alcohol";"quality"'
)


def write(root: Path) -> None:
    """All of them, in root/tabular."""
    folder = root / "tabular"
    folder.mkdir(parents=True)
    files = {
        "adult.data": [_person(i) for i in range(ADULT)] + [""],
        "adult.test": ["|1x3 Cross validator"] + [_person(i) + "." for i in range(50)] + [""],
        "housing.csv": [f"{HOUSES},median_house_value,ocean_proximity", *(_district(i) for i in range(ROWS))],
        "winequality-red.csv": [WINE, *(_wine(i) for i in range(120))],
        "winequality-white.csv": [WINE, *(_wine(i) for i in range(236))],
        "titanic_train.csv": [TITANIC, *(_passenger(i) for i in range(ROWS))],
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")


def _person(i: int) -> str:
    work, school, married = (words[i % len(words)] for words in PEOPLE)
    words = f"{married}, Adm-clerical, Husband, White, {('Male', 'Female')[i % 2]}"
    last = f"{i % 3 * 1000}, 0, {i % 50}, United-States, {('<=50K', '>50K')[i % 3 == 0]}"
    return f"{20 + i % 50}, {work}, {77516 + i * i}, {school}, 13, {words}, {last}"


def _district(i: int) -> str:
    bedrooms = "" if i % 100 == 0 else f"{i}.0"
    return f"-122.{i},37.{i},{i % 52}.0,{i * 7}.0,{bedrooms},{i * 3}.0,{i}.0,{i % 9}.5,{i * 1000 + 5}.0,NEAR BAY"


def _wine(i: int) -> str:
    return f"7.4;0.7;0;1.{i};0.076;11;34;0.9978;3.{i % 60};0.56;9.4;{3 + i % 6}"


def _passenger(i: int) -> str:
    age, cabin = ("", "") if i % 4 else (f"{i % 70}.0", f"C{i} C{i + 1}")
    return f'{i + 1},{i % 2},{1 + i % 3},"Braund, Mr. {i}",male,{age},1,0,A/5 {i},7.{i},{cabin},S'
